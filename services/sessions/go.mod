module github.com/callplane/callplane/services/sessions

go 1.26.8

require (
	github.com/callplane/callplane/contracts v0.0.0
	github.com/callplane/callplane/libs v0.0.0
)

require (
	github.com/stretchr/testify v1.12.1 // indirect
	go.uber.org/goleak v1.3.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	pgregory.net/rapid v1.3.0 // indirect
)

replace github.com/callplane/callplane/contracts => ../../contracts

replace github.com/callplane/callplane/libs => ../../libs
