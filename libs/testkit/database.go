package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var databases atomic.Int64

// databaseName returns a name that no other test of this or another process uses.
func databaseName(kind, service string) string {
	return strings.Join([]string{kind, service, strconv.Itoa(os.Getpid()), strconv.FormatInt(databases.Add(1), 10), random(3)}, "_")
}

// Database makes a fresh database of a service ("sessions", as deployments/postgres/init.sql names it) for this test, with that service's
// roles and grants, and returns the URL of the service's own role and that of the role that owns the schema. migrate is called once a
// binary, with the owner's URL of a template from which the databases are copied; the same function must always mean the same schema.
// A nil migrate leaves the database empty.
func (p *PG) Database(t testing.TB, service string, migrate func(url string) error) (appURL, ownerURL string) {
	t.Helper()
	ctx := Context(t, time.Minute)
	template := ""
	if migrate != nil {
		var err error
		if template, err = p.template(t, service, migrate); err != nil {
			t.Fatalf("testkit: database of %s: %v", service, err)
		}
	}
	name := databaseName("test", service)
	if err := p.create(ctx, service, name, template); err != nil {
		t.Fatalf("testkit: database of %s: %v", service, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		// A container of its own may be stopped by now, and is removed anyway.
		if err := p.drop(ctx, name); err != nil && !unreachable(err) {
			t.Errorf("testkit: %v", err)
		}
	})
	vars := p.script.services[service]
	return p.URL(t, vars["role"], name), p.URL(t, vars["owner"], name)
}

// template returns the migrated database of a service, made by the first test that asks for it.
func (p *PG) template(t testing.TB, service string, migrate func(url string) error) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprintf("%s/%x", service, reflect.ValueOf(migrate).Pointer())
	if name, ok := p.templates[key]; ok {
		return name, nil
	}
	name := databaseName("template", service)
	ctx := Context(t, time.Minute)
	if err := p.create(ctx, service, name, ""); err != nil {
		return "", err
	}
	if p.Container == nil { // A server that goes on running shall not keep it.
		shared.onClose(func(bool) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			_ = p.drop(ctx, name)
		})
	}
	if err := migrate(p.URL(t, p.script.services[service]["owner"], name)); err != nil {
		return "", fmt.Errorf("migrate: %w", err)
	}
	p.templates[key] = name
	return name, nil
}

// create makes a database as deployments/postgres does: empty, or as a copy of template.
func (p *PG) create(ctx context.Context, service, name, template string) error {
	vars, err := p.variables(service, name)
	if err != nil {
		return err
	}
	list, err := statements(databaseFile, vars)
	if err != nil {
		return err
	}
	if template == "" {
		grants, err := statements(grantsFile, vars)
		if err != nil {
			return err
		}
		if err := execute(ctx, p.AdminURL("postgres"), list...); err != nil {
			return err
		}
		return execute(ctx, p.AdminURL(name), grants...)
	}
	for i, statement := range list {
		if strings.HasPrefix(statement, "CREATE DATABASE ") {
			list[i] += " TEMPLATE " + pgx.Identifier{template}.Sanitize()
		}
	}
	return execute(ctx, p.AdminURL("postgres"), list...)
}

func (p *PG) drop(ctx context.Context, name string) error {
	return execute(ctx, p.AdminURL("postgres"), "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

// unreachable tells that there was no server to do it.
func unreachable(err error) bool {
	var connectErr *pgconn.ConnectError
	return errors.As(err, &connectErr)
}

// Texts reads rows of one text column from the database at url, as when a test is over and its own context with it.
func Texts(ctx context.Context, url, sql string, args ...any) (list []string, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("testkit: connect to the database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("testkit: %w", err)
	}
	if list, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, fmt.Errorf("testkit: %w", err)
	}
	return list, nil
}
