package plugintest

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"math/big"
)

// NewReference returns a well-formed access reference that no issuer knows:
// the prefix, 256 random bits in 43 base62 characters, and the CRC-32 of all
// that in 6.
func NewReference() string {
	var bits [32]byte
	rand.Read(bits[:])
	return encodeReference("pgat_", bits[:])
}

func encodeReference(prefix string, bits []byte) string {
	body := fmt.Sprintf("%s%043s", prefix, new(big.Int).SetBytes(bits).Text(62))
	sum := big.NewInt(int64(crc32.ChecksumIEEE([]byte(body))))
	return fmt.Sprintf("%s%06s", body, sum.Text(62))
}
