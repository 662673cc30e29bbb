package testkit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"testing"
)

// Nginx starts the pinned nginx for this test with a nginx.conf and a folder to serve, both by their paths in the repository, and further
// files by their path on the server. The settings have to listen on port 8080 and serve /srv. Given back is its URL, http://127.0.0.1 and a port.
func Nginx(t testing.TB, config, root string, further map[string]string) string {
	t.Helper()
	needMain(t)
	port, err := freePort()
	if err != nil {
		t.Fatalf("testkit: nginx: %v", err)
	}
	address := fmt.Sprintf("http://127.0.0.1:%d", port)
	c, err := startNginx(t.Context(), config, root, further, port, address)
	if err != nil {
		t.Fatalf("testkit: nginx: %v", err)
	}
	c.own(t)
	return address
}

func startNginx(ctx context.Context, config, root string, further map[string]string, port int, address string) (*Container, error) {
	pins, err := readEnvFile(filepath.Join(Root(), "deployments", "versions.env"))
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(Root(), filepath.FromSlash(config)))
	if err != nil {
		return nil, fmt.Errorf("nginx's settings: %w", err)
	}
	files := map[string]string{"/etc/nginx/nginx.conf": string(text)}
	served := os.DirFS(filepath.Join(Root(), filepath.FromSlash(root)))
	err = fs.WalkDir(served, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(served, name)
		files[path.Join("/srv", name)] = string(content)
		return err //nolint:wrapcheck // Wrapped below.
	})
	if err != nil {
		return nil, fmt.Errorf("what nginx shall serve: %w", err)
	}
	for name, content := range further {
		files[path.Join("/srv", name)] = content
	}
	return run(ctx, spec{
		image: pins["NGINX_IMAGE"],
		cmd:   []string{"nginx", "-g", "daemon off;"},
		files: files,
		ports: map[string]int{"8080/tcp": port},
		ready: func(ctx context.Context) error { return answers(ctx, address) },
	})
}

// answers fails until a server answers with something found.
func answers(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", address, err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", address, err)
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", address, response.Status)
	}
	return errors.Join(err, response.Body.Close())
}
