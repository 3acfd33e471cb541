module github.com/phantomgate/phantomgate/plugins/caddy

go 1.26.0

replace github.com/phantomgate/phantomgate/plugins => ../

require (
	github.com/caddyserver/caddy/v2 v2.11.9
	github.com/phantomgate/phantomgate/plugins v0.0.0-00010101000000-000000000000
)
