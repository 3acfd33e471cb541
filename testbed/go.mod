module github.com/phantomgate/phantomgate/testbed

go 1.26.0

replace (
	github.com/phantomgate/phantomgate => ../
	github.com/phantomgate/phantomgate/apiguard => ../apiguard
	github.com/phantomgate/phantomgate/plugins => ../plugins
	github.com/phantomgate/phantomgate/plugins/caddy => ../plugins/caddy
)

require (
	github.com/golang-jwt/jwt/v5 v5.2.2
	github.com/phantomgate/phantomgate/apiguard v0.0.0-00010101000000-000000000000
)

require (
	github.com/MicahParks/jwkset v0.11.0 // indirect
	github.com/MicahParks/keyfunc/v3 v3.8.0 // indirect
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/oauth2 v0.37.0 // indirect
	golang.org/x/time v0.9.0 // indirect
)
