module github.com/callplane/callplane/contracts

go 1.26.8
