module github.com/phantomgate/phantomgate/plugins/tyk

go 1.25.0

replace github.com/phantomgate/phantomgate/plugins => ../

require (
	github.com/TykTechnologies/tyk v1.9.2-0.20260707114557-2e9450120e2b
	github.com/phantomgate/phantomgate/plugins v0.0.0-00010101000000-000000000000
	github.com/sirupsen/logrus v1.9.3
)

require (
	github.com/MicahParks/jwkset v0.11.0 // indirect
	github.com/MicahParks/keyfunc/v3 v3.8.0 // indirect
	github.com/allegro/bigcache/v3 v3.1.0 // indirect
	github.com/golang-jwt/jwt/v5 v5.2.2 // indirect
	golang.org/x/sys v0.0.0-20220715151400-c0bba94af5f8 // indirect
	golang.org/x/time v0.9.0 // indirect
)
