module github.com/phantomgate/phantomgate/plugins/tyk/noop

go 1.25.0
