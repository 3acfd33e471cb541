package sqlite_test

import (
	"crypto/rand"
	"crypto/sha256"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// machineGrant is what client credentials keep: the most frequent write.
func machineGrant() (storage.Grant, storage.AccessToken) {
	now := time.Now()
	id, reference := rand.Text(), rand.Text()
	hash := sha256.Sum256([]byte(reference))
	return storage.Grant{Tenant: "default", ID: id, ClientID: "batch", Scope: "eventcatalog.read", WrappedKey: make([]byte, 60),
			CreatedAt: now, ExpiresAt: now.Add(15 * time.Minute)},
		storage.AccessToken{Hash: hash[:], JTI: rand.Text(), GrantID: id, Scope: "eventcatalog.read", Value: make([]byte, 120),
			IssuedAt: now, ExpiresAt: now.Add(15 * time.Minute)}
}

func BenchmarkFindAccess(b *testing.B) {
	store := open(b, filepath.Join(b.TempDir(), "issuer.db"))
	var hashes [][]byte
	for range 1000 {
		grant, token := machineGrant()
		if err := store.CreateGrantWithToken(b.Context(), grant, token); err != nil {
			b.Fatal(err)
		}
		hashes = append(hashes, token.Hash)
	}
	b.ReportAllocs()
	var next atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			found, err := store.FindAccess(b.Context(), "default", hashes[next.Add(1)%1000])
			if err != nil || !found.Alive {
				b.Errorf("alive %t, %v", found.Alive, err)
			}
		}
	})
}

// BenchmarkCreateGrantWithToken has 64 writers at once, as a busy issuer has: they share commits.
func BenchmarkCreateGrantWithToken(b *testing.B) {
	store := open(b, filepath.Join(b.TempDir(), "issuer.db"))
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			grant, token := machineGrant()
			if err := store.CreateGrantWithToken(b.Context(), grant, token); err != nil {
				b.Error(err)
			}
		}
	})
}
