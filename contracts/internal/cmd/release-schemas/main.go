// Command release-schemas keeps the events' schemas as those of a release, which later ones are held to. It runs in the folder of the
// module contracts, and refuses schemas that break the last release.
package main

import (
	"fmt"
	"os"

	"github.com/callplane/callplane/contracts/internal/compat"
)

func main() {
	const released = "events/released/v1"
	if err := compat.Release(os.DirFS("events/schemas"), released); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Println("released schemas:", released)
}
