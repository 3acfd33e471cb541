package admin

import (
	"cmp"
	"net/http"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
)

type gatewayAnswer struct {
	Gateway     string    `json:"gateway"`
	Client      string    `json:"client"`
	Stream      string    `json:"stream"`
	Position    int64     `json:"position"`
	Behind      int64     `json:"behind"`
	CreatedAt   time.Time `json:"created_at"`
	LastContact time.Time `json:"last_contact"` // to a few seconds
}

type feedAnswer struct {
	Epoch    string `json:"epoch"`
	Sequence int64  `json:"sequence"`
}

// gateways lists who hears the feed, and how far each has applied it.
func (h *Handler) gateways(w http.ResponseWriter, r *http.Request, _ string) error {
	streams, feed, err := h.Streams.Streams(r.Context(), h.Tenant)
	if err != nil {
		return err
	}
	list := []gatewayAnswer{}
	for _, s := range streams {
		list = append(list, gatewayAnswer{
			Gateway: cmp.Or(s.Description, s.ID), Client: s.ClientID, Stream: s.ID, Position: s.Position,
			Behind: max(0, feed.Sequence-s.Position), CreatedAt: s.CreatedAt.UTC(), LastContact: s.SeenAt.UTC(),
		})
	}
	wire.JSON(w, http.StatusOK, struct {
		Feed     feedAnswer      `json:"feed"`
		Gateways []gatewayAnswer `json:"gateways"`
	}{feedAnswer{feed.Epoch, feed.Sequence}, list})
	return nil
}
