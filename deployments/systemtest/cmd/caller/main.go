// Command caller is a person in a call as a program of its own: it joins with the token of its environment and does what it is told on
// standard input. The system tests start it, kill it and freeze it.
package main

import (
	"os"

	"github.com/callplane/callplane/deployments/systemtest/caller"
)

func main() { os.Exit(caller.Serve(os.Getenv, os.Stdin, os.Stdout)) }
