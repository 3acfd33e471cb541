module github.com/phantomgate/phantomgate/plugins

go 1.25.0

require (
	github.com/MicahParks/keyfunc/v3 v3.8.0
	github.com/allegro/bigcache/v3 v3.1.0
	github.com/golang-jwt/jwt/v5 v5.2.2
)

require (
	github.com/MicahParks/jwkset v0.11.0 // indirect
	golang.org/x/time v0.9.0 // indirect
)
