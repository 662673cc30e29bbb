// Package migrations holds the SQL that makes the bridge's schema, in order. Each one lets the version
// before it go on working.
package migrations

import "embed"

// Files are the migrations, in the directory Dir.
//
//go:embed *.sql
var Files embed.FS

// Dir is where the migrations are in Files.
const Dir = "."
