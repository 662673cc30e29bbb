package testkit

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Pin returns a version or image that deployments/versions.env pins, such as POSTGRES_IMAGE.
func Pin(t testing.TB, name string) string {
	t.Helper()
	value, err := pinned(name)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	return value
}

// pinned is Pin outside a test.
func pinned(name string) (string, error) {
	pins, err := readEnvFile(filepath.Join(Root(), "deployments", "versions.env"))
	if err != nil {
		return "", err
	}
	value, ok := pins[name]
	if !ok {
		return "", fmt.Errorf("deployments/versions.env does not pin %s", name)
	}
	return value, nil
}

// readEnvFile reads lines of NAME=value, leaving out empty ones and comments.
func readEnvFile(path string) (map[string]string, error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	defer file.Close() //nolint:errcheck // Only read from.
	values := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if name, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return values, nil
}

// secrets gives passwords by the names that the deployment's files use for them.
type secrets struct {
	mu     sync.Mutex
	values map[string]string
}

// generated holds the passwords of this process's containers.
var generated = secrets{values: map[string]string{}}

// get returns the password of that name, made up when first asked for.
func (s *secrets) get(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value, ok := s.values[name]; ok {
		return value, nil
	}
	value := random(24)
	s.values[name] = value
	return value, nil
}

// existing returns the password of that name on a server that already runs.
func existing(name string) (string, error) {
	if value := os.Getenv(name); value != "" {
		return value, nil
	}
	values, err := readEnvFile(filepath.Join(Root(), ".env"))
	if err == nil && values[name] != "" {
		return values[name], nil
	}
	return "", fmt.Errorf("%s is needed for the server named by a TEST_..._URL setting: set it, or have it in the top-level .env", name)
}

// lookup returns a secret by name.
type lookup func(name string) (string, error)

var placeholder = regexp.MustCompile(`\$\{([A-Z][A-Z0-9_]*)\}`)

// render replaces each ${NAME} of a template file, whose path is relative to deployments/.
func render(file string, get lookup) (string, error) {
	text, err := os.ReadFile(filepath.Join(Root(), "deployments", filepath.Clean(file)))
	if err != nil {
		return "", fmt.Errorf("read template: %w", err)
	}
	var failed error
	rendered := placeholder.ReplaceAllStringFunc(string(text), func(match string) string {
		value, err := get(placeholder.FindStringSubmatch(match)[1])
		if err != nil {
			failed = err
		}
		return value
	})
	if failed != nil {
		return "", fmt.Errorf("render %s: %w", file, failed)
	}
	return rendered, nil
}

// random returns n random bytes in hexadecimal.
func random(n int) string {
	bytes := make([]byte, n)
	_, _ = rand.Read(bytes) // Never fails.
	return hex.EncodeToString(bytes)
}
