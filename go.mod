module github.com/phantomgate/phantomgate

go 1.26.0
