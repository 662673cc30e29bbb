module github.com/callplane/callplane/deployments/systemtest

go 1.26.8

require (
	github.com/callplane/callplane/contracts v0.0.0
	github.com/callplane/callplane/libs v0.0.0
)

replace github.com/callplane/callplane/contracts => ../../contracts

replace github.com/callplane/callplane/libs => ../../libs
