// Package postgres keeps sessions, their logs and the outbox in PostgreSQL.
package postgres

import "embed"

// MigrationsDir is the folder of the migrations in Migrations.
const MigrationsDir = "migrations"

// Migrations holds the schema, as goose reads it.
//
//go:embed migrations/*.sql
var Migrations embed.FS
