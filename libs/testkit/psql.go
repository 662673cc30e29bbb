package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// initScript is deployments/postgres/init.sql, read as far as psql's own commands in it go: which services there are, and what each one's
// variables are. The included files then make one more database for a service, by the same lines as everywhere else.
type initScript struct {
	services map[string]variables // by the name of the service's database
}

// variables are what psql calls so; a password is held as the name of the environment variable that has it.
type variables map[string]string

const (
	rolesFile    = "include/roles.sql"
	databaseFile = "include/database.sql"
	grantsFile   = "include/grants.sql"
)

func readInitScript() (*initScript, error) {
	text, err := readPostgresFile("init.sql")
	if err != nil {
		return nil, err
	}
	script := &initScript{services: map[string]variables{}}
	current := variables{}
	for _, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || !strings.HasPrefix(words[0], `\`):
		case words[0] == `\set` && len(words) == 3:
			current[words[1]] = words[2]
		case words[0] == `\getenv` && len(words) == 3:
			current[words[1]] = words[2]
		case words[0] == `\ir` && len(words) == 2:
			if words[1] == grantsFile { // The last step of a service.
				script.services[current["database"]] = current
				current = variables{}
			}
		case words[0] == `\connect`:
		default:
			return nil, fmt.Errorf("deployments/postgres/init.sql: testkit doesn't know %q", line)
		}
	}
	if len(script.services) == 0 {
		return nil, errors.New("deployments/postgres/init.sql names no database")
	}
	return script, nil
}

func readPostgresFile(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(Root(), "deployments", "postgres", filepath.Clean(name)))
	if err != nil {
		return "", fmt.Errorf("read the database's set-up: %w", err)
	}
	return string(text), nil
}

// psqlVariable is :"name" (an identifier) or :'name' (a literal).
var psqlVariable = regexp.MustCompile(`:(["'])([a-z_]+)["']`)

// statements returns the SQL statements of a file with the variables put in.
func statements(file string, vars variables) ([]string, error) {
	text, err := readPostgresFile(file)
	if err != nil {
		return nil, err
	}
	var unknown error
	var list []string
	var statement strings.Builder
	for _, line := range strings.Split(text, "\n") {
		if trimmed := strings.TrimSpace(line); trimmed == "" || strings.HasPrefix(trimmed, "--") {
			continue
		}
		statement.WriteString(psqlVariable.ReplaceAllStringFunc(line, func(match string) string {
			parts := psqlVariable.FindStringSubmatch(match)
			value, ok := vars[parts[2]]
			if !ok {
				unknown = fmt.Errorf("%s: no variable %s", file, parts[2])
			}
			if parts[1] == `"` {
				return pgx.Identifier{value}.Sanitize()
			}
			return "'" + strings.ReplaceAll(value, "'", "''") + "'"
		}) + "\n")
		if strings.HasSuffix(strings.TrimSpace(line), ";") {
			list = append(list, strings.TrimSuffix(strings.TrimSpace(statement.String()), ";"))
			statement.Reset()
		}
	}
	return list, unknown
}

// execute runs statements one by one at the database of url, each in a transaction of its own as CREATE DATABASE asks for.
func execute(ctx context.Context, url string, list ...string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect as superuser: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // Nothing is in hand.
	for _, statement := range list {
		if _, err := conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("run %q: %w", strings.SplitN(statement, "\n", 2)[0], err)
		}
	}
	return nil
}
