package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/config"
)

type settings struct {
	Addr    string        `env:"ADDR" envDefault:":8080" validate:"hostname_port" help:"address to listen on"`
	Timeout time.Duration `env:"TIMEOUT" envDefault:"25s" validate:"min=1s,max=1m" help:"how long to wait"`
	Format  string        `env:"FORMAT" envDefault:"json" validate:"oneof=json text" help:"form of the log"`
	Count   int           `env:"COUNT" envDefault:"8" validate:"min=1,max=256"`
	Origins []string      `env:"ORIGINS" help:"who may call"`
	Enabled bool          `env:"ENABLED" envDefault:"true"`
	Store   struct {
		URL config.Secret `env:"URL,required" help:"URL of the store"`
	} `envPrefix:"STORE_"`
	Key    string `env:"KEY" secret:"true" validate:"min=8" help:"key that signs"`
	Unread string
}

// Validate is a rule over two settings.
func (s *settings) Validate() []config.Problem {
	if s.Format == "text" && s.Count > 10 {
		return []config.Problem{{Name: "COUNT", Reason: "must be at most 10 with FORMAT=text"}}
	}
	return nil
}

func load(t *testing.T, environ ...string) (settings, []config.Problem) {
	t.Helper()
	s, err := config.Load[settings](environ)
	if err == nil {
		return s, nil
	}
	var invalid *config.InvalidError
	require.ErrorAs(t, err, &invalid)
	return s, invalid.Problems
}

func TestLoadTakesDefaultsAndValues(t *testing.T) {
	s, problems := load(t, "STORE_URL=postgres://x", "COUNT=", "TIMEOUT=30s", "ORIGINS=a,b", "ENABLED=false", "OTHER=1", "Unread=x")
	require.Empty(t, problems)
	assert.Equal(t, ":8080", s.Addr)
	assert.Equal(t, 30*time.Second, s.Timeout)
	assert.Equal(t, 8, s.Count, "an empty variable is an unset one")
	assert.Equal(t, []string{"a", "b"}, s.Origins)
	assert.False(t, s.Enabled)
	assert.Equal(t, "postgres://x", s.Store.URL.Reveal())
	assert.Empty(t, s.Unread)
}

func TestLoadNamesEveryBadSettingAtOnce(t *testing.T) {
	_, problems := load(t, "ADDR=nonsense", "TIMEOUT=soon", "FORMAT=xml", "COUNT=300", "ENABLED=maybe", "KEY=hunter2")
	byName := map[string]string{}
	for _, p := range problems {
		byName[p.Name] = p.Reason
	}
	assert.Contains(t, byName["ADDR"], "must be an address such as :8080")
	assert.Contains(t, byName["TIMEOUT"], "must be a duration, such as 250ms, 30s or 10m")
	assert.Equal(t, `is "xml"; it must be one of json, text`, byName["FORMAT"])
	assert.Equal(t, `is "300"; it must be at most 256`, byName["COUNT"])
	assert.Contains(t, byName["ENABLED"], "must be a true|false")
	assert.Equal(t, "is required; set it to the URL of the store, or STORE_URL_FILE to a file that holds it", byName["STORE_URL"])
	assert.Equal(t, "must be at least 8 characters long", byName["KEY"])
	assert.Len(t, problems, 7)

	_, err := config.Load[settings]([]string{"KEY=hunter2"})
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestLoadChecksRulesOverSeveralSettings(t *testing.T) {
	_, problems := load(t, "STORE_URL=x", "FORMAT=text", "COUNT=11")
	assert.Equal(t, []config.Problem{{Name: "COUNT", Reason: "must be at most 10 with FORMAT=text"}}, problems)
	_, problems = load(t, "STORE_URL=x", "FORMAT=text", "COUNT=1000")
	assert.Len(t, problems, 1, "no second problem of the same setting")
}

func TestSecretsComeFromFilesToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("from a file\n"), 0o600))
	s, problems := load(t, "STORE_URL_FILE="+path, "KEY_FILE="+path)
	require.Empty(t, problems)
	assert.Equal(t, "from a file", s.Store.URL.Reveal())
	assert.Equal(t, "from a file", s.Key)

	_, problems = load(t, "STORE_URL=x", "STORE_URL_FILE="+path)
	assert.Equal(t, []config.Problem{{Name: "STORE_URL", Reason: "is set together with STORE_URL_FILE; set only one of the two"}}, problems)
	_, problems = load(t, "STORE_URL_FILE="+path+"-missing")
	require.Len(t, problems, 1)
	assert.Equal(t, "STORE_URL_FILE", problems[0].Name)
	assert.Contains(t, problems[0].Reason, "check the path")

	require.NoError(t, os.WriteFile(path, []byte("\n"), 0o600))
	_, problems = load(t, "STORE_URL_FILE="+path)
	require.Len(t, problems, 1)
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("x", 65<<10)), 0o600))
	_, problems = load(t, "STORE_URL_FILE="+path)
	require.Len(t, problems, 1)

	_, problems = load(t, "STORE_URL=x", "ADDR_FILE="+path)
	assert.Empty(t, problems, "what is no secret has no file")
}

func TestSecretIsNeverShown(t *testing.T) {
	secret := config.Secret("hunter2")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret, "in", struct{ S config.Secret }{secret})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret, "in", struct{ S config.Secret }{secret})
	encoded, err := json.Marshal(map[string]any{"a": secret, "b": &secret})
	require.NoError(t, err)
	shown := log.String() + string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb, secret) + fmt.Sprintf(verb, []config.Secret{secret}) + fmt.Sprintf(verb, struct{ S config.Secret }{secret})
	}
	assert.NotContains(t, shown, "hunter2")
	assert.NotContains(t, shown, "68756e74657232")
	assert.Contains(t, shown, "[redacted]")
	assert.Equal(t, "hunter2", secret.Reveal())
	assert.Empty(t, config.Secret("").String())
}

func TestUsageListsEverySetting(t *testing.T) {
	var usage strings.Builder
	require.NoError(t, config.Usage[settings](&usage))
	assert.Equal(t, []string{
		"  ADDR       string      address to listen on (default :8080)",
		"  TIMEOUT    duration    how long to wait (default 25s)",
		"  FORMAT     string      form of the log (default json)",
		"  COUNT      integer     (default 8)",
		"  ORIGINS    list        who may call",
		"  ENABLED    true|false  (default true)",
		"  STORE_URL  string      URL of the store (required; secret, also as STORE_URL_FILE)",
		"  KEY        string      key that signs (secret, also as KEY_FILE)",
	}, strings.Split(strings.TrimRight(usage.String(), "\n"), "\n"))
}

func TestLoadWantsAStruct(t *testing.T) {
	_, err := config.Load[int](nil)
	require.ErrorContains(t, err, "must be a struct")
}
