// Command generate writes what is made from the schemas: the AsyncAPI document, the TypeScript types and the catalogue of events. It runs
// in the folder of the module contracts. With -check it writes nothing, and fails where a file is not as it would be written.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/callplane/callplane/contracts/internal/generate"
)

func main() {
	check := flag.Bool("check", false, "write nothing; fail where a generated file is stale")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	if !check {
		written, err := generate.Write(".")
		for _, path := range written {
			fmt.Println("written:", path)
		}
		return err
	}
	stale, err := generate.Stale(".")
	if err != nil {
		return err
	}
	if len(stale) > 0 {
		return fmt.Errorf("stale, run make generate: %s", strings.Join(stale, ", "))
	}
	return nil
}
