module github.com/phantomgate/phantomgate/apiguard

go 1.25.0
