package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/joho/godotenv"
)

// settings are those of the stack that `make up` starts, from the environment or the top folder's .env.
type settings struct {
	SessionsPort   int    `env:"SESSIONS_PORT" envDefault:"8080"`
	WebPort        int    `env:"WEB_PORT" envDefault:"8082"`
	LiveKitPort    int    `env:"LIVEKIT_PORT" envDefault:"7880"`
	ManagementPort int    `env:"RABBITMQ_MANAGEMENT_PORT" envDefault:"15672"`
	LiveKitKey     string `env:"LIVEKIT_API_KEY,notEmpty"`
	LiveKitSecret  string `env:"LIVEKIT_API_SECRET,notEmpty"`
}

// loadSettings reads the environment, and the .env of the folder with go.work for what the environment leaves out.
func loadSettings(environ []string) (settings, error) {
	values := map[string]string{}
	file, err := envFile()
	if err != nil {
		return settings{}, err
	}
	if file != "" {
		if values, err = godotenv.Read(file); err != nil {
			return settings{}, fmt.Errorf("reading %s: %w", file, err)
		}
	}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && value != "" {
			values[name] = value
		}
	}
	s, err := env.ParseAsWithOptions[settings](env.Options{Environment: values})
	if err != nil {
		return settings{}, fmt.Errorf("the settings of the stack can't be used; `make up` writes them to .env: %w", err)
	}
	return s, nil
}

// envFile finds the .env that belongs to the stack; empty when there is none.
func envFile() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding .env: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			file := filepath.Join(dir, ".env")
			if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
				return "", nil
			}
			return file, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", nil
		}
		dir = parent
	}
}

// api is the address of the sessions service.
func (s settings) api() string { return local(s.SessionsPort) }

// page is the address of the call page.
func (s settings) page() string { return local(s.WebPort) }

// liveKit is the address of LiveKit's server API.
func (s settings) liveKit() string { return local(s.LiveKitPort) }

// management is the address of RabbitMQ's page.
func (s settings) management() string { return local(s.ManagementPort) }

func local(port int) string { return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
