package testkit

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PG is a PostgreSQL server with the roles of every service. Its Container is nil where TEST_POSTGRES_URL names the server.
type PG struct {
	*Container
	admin  *url.URL // the superuser's, without a database
	script *initScript
	secret lookup

	mu        sync.Mutex
	templates map[string]string // database by service and migration
}

var sharedPG struct {
	once sync.Once
	pg   *PG
	err  error
}

// Postgres returns the server that the tests of this binary share.
func Postgres(t testing.TB) *PG {
	t.Helper()
	needMain(t)
	sharedPG.once.Do(func() {
		sharedPG.pg, sharedPG.err = externalPG()
		if sharedPG.pg != nil || sharedPG.err != nil {
			return
		}
		sharedPG.pg, sharedPG.err = startPG(context.Background())
		if sharedPG.err == nil {
			shared.keep(sharedPG.pg.Container)
		}
	})
	if sharedPG.err != nil {
		t.Fatalf("testkit: PostgreSQL: %v", sharedPG.err)
	}
	return sharedPG.pg
}

// OwnPostgres starts a server for this test alone, which may stop, kill or pause it.
func OwnPostgres(t testing.TB) *PG {
	t.Helper()
	return ownPostgres(t)
}

// OwnPostgresOn is OwnPostgres with the data on a disk of at least 256 MiB.
func OwnPostgresOn(t testing.TB, disk *Disk) *PG {
	t.Helper()
	return ownPostgres(t, func(s *spec) {
		s.mounts = append(s.mounts, disk.at("/var/lib/postgresql/data"))
		s.cmd = append(s.cmd, "-c", "max_wal_size=64MB") // By itself the log of changes takes more than such a disk has.
	})
}

func ownPostgres(t testing.TB, change ...func(*spec)) *PG {
	t.Helper()
	needMain(t)
	pg, err := startPG(t.Context(), change...)
	if err != nil {
		t.Fatalf("testkit: PostgreSQL: %v", err)
	}
	pg.own(t)
	return pg
}

func newPG(admin *url.URL, secret lookup) (*PG, error) {
	script, err := readInitScript()
	if err != nil {
		return nil, err
	}
	return &PG{admin: admin, script: script, secret: secret, templates: map[string]string{}}, nil
}

// startPG starts a container that is initialized by the files of deployments/postgres.
func startPG(ctx context.Context, change ...func(*spec)) (*PG, error) {
	pins, err := readEnvFile(filepath.Join(Root(), "deployments", "versions.env"))
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	password, err := generated.get("POSTGRES_PASSWORD")
	if err != nil {
		return nil, err
	}
	pg, err := newPG(&url.URL{Scheme: "postgres", User: url.UserPassword("postgres", password), Host: fmt.Sprintf("127.0.0.1:%d", port)}, generated.get)
	if err != nil {
		return nil, err
	}
	start := spec{
		image: pins["POSTGRES_IMAGE"],
		env:   map[string]string{"POSTGRES_PASSWORD": password},
		cmd:   []string{"postgres", "-c", "max_connections=300"}, // Many tests at once share it.
		ports: map[string]int{"5432/tcp": port},
		ready: pg.ping,
		files: map[string]string{},
	}
	if err := pg.addInit(&start); err != nil {
		return nil, err
	}
	for _, c := range change {
		c(&start)
	}
	pg.Container, err = run(ctx, start)
	return pg, err
}

// addInit mounts deployments/postgres as compose does, and gives the passwords that it asks for.
func (p *PG) addInit(start *spec) error {
	for _, file := range []string{"init.sql", rolesFile, databaseFile, grantsFile} {
		text, err := readPostgresFile(file)
		if err != nil {
			return err
		}
		start.files["/docker-entrypoint-initdb.d/"+file] = text
	}
	for _, vars := range p.script.services {
		for name, value := range vars {
			if !strings.HasSuffix(name, "_password") {
				continue
			}
			password, err := p.secret(value)
			if err != nil {
				return err
			}
			start.env[value] = password
		}
	}
	return nil
}

// ping fails until the server takes connections over TCP, which it does only when it is initialized.
func (p *PG) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.AdminURL("postgres"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return conn.Close(ctx)
}

// externalPG returns the server of TEST_POSTGRES_URL with the services' roles made sure of, or nil where it is not set.
func externalPG() (*PG, error) {
	setting := os.Getenv("TEST_POSTGRES_URL")
	if setting == "" {
		return nil, nil //nolint:nilnil // None is asked for.
	}
	admin, err := url.Parse(setting)
	if err != nil {
		return nil, errors.New("TEST_POSTGRES_URL is not a URL such as postgres://postgres:password@127.0.0.1:5432")
	}
	pg, err := newPG(admin, existing)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for service := range pg.script.services {
		if err := pg.ensureRoles(ctx, service); err != nil {
			return nil, err
		}
	}
	return pg, nil
}

// ensureRoles makes a service's roles on a server that has none of them yet.
func (p *PG) ensureRoles(ctx context.Context, service string) error {
	vars, err := p.variables(service, service)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, p.AdminURL("postgres"))
	if err != nil {
		return fmt.Errorf("TEST_POSTGRES_URL: connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // Nothing is in hand.
	var there bool
	if err := conn.QueryRow(ctx, "SELECT exists(SELECT FROM pg_roles WHERE rolname = $1)", vars["role"]).Scan(&there); err != nil || there {
		return err
	}
	list, err := statements(rolesFile, vars)
	if err != nil {
		return err
	}
	return execute(ctx, p.AdminURL("postgres"), list...)
}

// AdminURL returns the superuser's URL of a database.
func (p *PG) AdminURL(database string) string {
	u := *p.admin
	u.Path = "/" + database
	return u.String()
}

// URL returns a role's URL of a database. An unknown role fails the test.
func (p *PG) URL(t testing.TB, role, database string) string {
	t.Helper()
	for _, vars := range p.script.services {
		for name, passwordName := range map[string]string{"role": "role_password", "owner": "owner_password"} {
			if vars[name] != role {
				continue
			}
			password, err := p.secret(vars[passwordName])
			if err != nil {
				t.Fatalf("testkit: %v", err)
			}
			u := *p.admin
			u.User, u.Path = url.UserPassword(role, password), "/"+database
			return u.String()
		}
	}
	t.Fatalf("testkit: deployments/postgres/init.sql makes no role %s", role)
	return ""
}

// variables returns the psql variables for one more database of a service, with the passwords in them.
func (p *PG) variables(service, database string) (variables, error) {
	known, ok := p.script.services[service]
	if !ok {
		return nil, fmt.Errorf("deployments/postgres/init.sql makes no database %s", service)
	}
	vars := variables{}
	for name, value := range known {
		if strings.HasSuffix(name, "_password") {
			password, err := p.secret(value)
			if err != nil {
				return nil, err
			}
			value = password
		}
		vars[name] = value
	}
	vars["database"] = database
	return vars, nil
}
