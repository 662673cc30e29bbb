module github.com/callplane/callplane/libs

go 1.26.8

require github.com/callplane/callplane/contracts v0.0.0

replace github.com/callplane/callplane/contracts => ../contracts
