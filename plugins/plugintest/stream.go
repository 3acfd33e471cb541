package plugintest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// streamCases: answers that go on for long pass as they come.
func streamCases() []Case {
	return []Case{
		{Name: "stream/server-sent events arrive one by one", Check: serverSentEvents},
		{Name: "stream/WebSocket bytes pass both ways", Check: webSocket},
		{Name: "stream/a WebSocket without a token is refused", Check: func(w *Walk) {
			r := w.Raw("GET", Events, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
			w.Refused(r, http.StatusUnauthorized, "")
			w.NothingPassed()
		}},
	}
}

// serverSentEvents: the upstream sends the second event only when the client
// has read the first, so a gateway that collects never delivers.
func serverSentEvents(w *Walk) {
	read := make(chan struct{})
	w.Upstream.Handle(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(rw, "data: one\n\n")
		http.NewResponseController(rw).Flush()
		select {
		case <-read:
			io.WriteString(rw, "data: two\n\n")
		case <-r.Context().Done():
		}
	})
	answer, err := w.client().Do(w.Request(http.MethodGet, Events, w.Issuer.GrantScopes("eventcatalog.read")))
	if err != nil {
		w.T.Fatalf("the stream did not begin: %v", err)
	}
	defer answer.Body.Close()
	lines := bufio.NewReader(answer.Body)
	for _, want := range []string{"data: one\n", "\n", "data: two\n", "\n"} {
		line, err := lines.ReadString('\n')
		if err != nil || line != want {
			w.T.Fatalf("read %q (%v); want %q", line, err, want)
		}
		if want == "data: one\n" {
			close(read)
		}
	}
}

// webSocket opens an upgraded connection and has the upstream echo what comes
// on it. The frames are not looked at by a gateway, so plain lines will do.
func webSocket(w *Walk) {
	w.Upstream.Handle(echoUpgraded)
	address := strings.TrimPrefix(w.Gateway.URL, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		w.T.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(w.patience()))
	io.WriteString(conn, "GET "+Events+" HTTP/1.1\r\nHost: "+address+"\r\nAuthorization: Bearer "+
		w.Issuer.GrantScopes("eventcatalog.read")+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	lines := bufio.NewReader(conn)
	answer, err := http.ReadResponse(lines, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		w.T.Fatalf("the upgrade was answered %+v, %v", answer, err)
	}
	got, _ := w.Upstream.Last()
	w.isSwapped(got)
	for _, line := range []string{"first\n", "second\n"} {
		io.WriteString(conn, line)
		if back, err := lines.ReadString('\n'); back != line {
			w.T.Fatalf("sent %q, got %q back: %v", line, back, err)
		}
	}
}

func echoUpgraded(rw http.ResponseWriter, r *http.Request) {
	conn, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if _, err := io.Copy(conn, buffered); err != nil && !errors.Is(err, net.ErrClosed) {
		return // the client has gone: the test sees to it
	}
}
