package testkit //nolint:testpackage // The files' readers are not exported.

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInitScriptNamesTheServices(t *testing.T) {
	script, err := readInitScript()
	require.NoError(t, err)
	for _, service := range []string{"sessions", "bridge"} {
		upper := strings.ToUpper(service)
		assert.Equal(t, variables{
			"database": service, "role": service, "owner": service + "_owner",
			"role_password": upper + "_DB_PASSWORD", "owner_password": upper + "_OWNER_DB_PASSWORD",
		}, script.services[service])
	}
}

func TestStatementsQuoteTheirVariables(t *testing.T) {
	vars := variables{"owner": `a"b`, "role": "r", "owner_password": "it's", "role_password": "p", "database": "d"}
	list, err := statements(rolesFile, vars)
	require.NoError(t, err)
	assert.Contains(t, list[0], `CREATE ROLE "a""b" LOGIN PASSWORD 'it''s'`)
	for _, statement := range list {
		assert.NotContains(t, statement, ":\"")
		assert.NotContains(t, statement, "--")
	}
	delete(vars, "role")
	_, err = statements(grantsFile, vars)
	require.ErrorContains(t, err, "no variable role")
}

func TestTemplatesAreRenderedWhole(t *testing.T) {
	text, err := render("rabbitmq/definitions.json", func(name string) (string, error) { return "of-" + name, nil })
	require.NoError(t, err)
	assert.Contains(t, text, `"password": "of-RABBITMQ_ADMIN_PASSWORD"`)
	assert.NotContains(t, text, "${")
	_, err = render("rabbitmq/definitions.json", func(string) (string, error) { return "", errors.New("unknown") })
	require.ErrorContains(t, err, "unknown")
}

func TestPinsAreRead(t *testing.T) {
	assert.Contains(t, Pin(t, "POSTGRES_IMAGE"), "postgres:")
	first, second := FreePort(t), FreePort(t)
	assert.NotEqual(t, first, second)
}

func TestWebhookOfLoopbackIsReachedFromTheContainer(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1:8081/hook": "http://host.docker.internal:8081/hook",
		"http://localhost:8081/hook": "http://host.docker.internal:8081/hook",
		"http://example.com/hook":    "http://example.com/hook",
		"":                           "http://127.0.0.1:9/",
	} {
		got, err := fromContainer(address)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}
