package revocation

import (
	"encoding/base64"
	"strconv"

	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// keyBytes is how much of the MAC a key is. Two reaches with one key would end each other's cached answers, and no more.
const keyBytes = 16

// Namer gives reaches the opaque keys by which gateways know them: nobody learns from a key, or from many, what it names.
type Namer struct{ MAC seal.MAC }

// Key names one reach: 22 characters.
func (n Namer) Key(tenant string, kind storage.Kind, id string) string {
	var key [22]byte
	n.append(key[:0], tenant, kind, id)
	return string(key[:])
}

func (n Namer) append(b []byte, tenant string, kind storage.Kind, id string) []byte {
	if kind == storage.KindEverything {
		tenant = ""
	}
	mac := n.MAC.Sum(tenant, string(kind), id)
	return base64.RawURLEncoding.AppendEncode(b, mac[:keyBytes])
}

// KeyOf names what a revocation moved on.
func (n Namer) KeyOf(r storage.Revocation) string { return n.Key(r.Tenant, r.Kind, r.Target) }

// Keys writes everything that can end a living token, each key with its generation, as the header Revocation-Keys has it. A
// living token was born under today's generations; a token, grant or session that was ever revoked is not alive.
//
// It gives "" for a token that was exchanged: it can be ended by more than is known here.
func (n Namer) Keys(live storage.LiveAccess) string {
	if len(live.Actors) > 0 || !live.Alive {
		return ""
	}
	g := live.Grant
	b := make([]byte, 0, 8*30)
	add := func(kind storage.Kind, id string, generation int64) {
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(n.append(b, g.Tenant, kind, id), '=')
		b = strconv.AppendInt(b, generation, 10)
	}
	add(storage.KindEverything, "", g.Births.Everything)
	add(storage.KindTenant, g.Tenant, g.Births.Tenant)
	add(storage.KindClient, g.ClientID, g.Births.Client)
	if g.Subject != "" {
		add(storage.KindUser, g.Subject, g.Births.User)
		add(storage.KindUserClient, storage.UserClientID(g.Subject, g.ClientID), g.Births.UserClient)
	}
	if g.SessionID != "" {
		add(storage.KindSession, g.SessionID, 0)
	}
	add(storage.KindGrant, g.ID, 0)
	add(storage.KindToken, live.JTI, 0)
	return string(b)
}
