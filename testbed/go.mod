module github.com/phantomgate/phantomgate/testbed

go 1.26.0

replace (
	github.com/phantomgate/phantomgate => ../
	github.com/phantomgate/phantomgate/apiguard => ../apiguard
	github.com/phantomgate/phantomgate/plugins => ../plugins
	github.com/phantomgate/phantomgate/plugins/caddy => ../plugins/caddy
)
