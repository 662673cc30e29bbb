package wiring

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// minSecret is how long a LiveKit API secret must be, in bytes: shorter ones can be guessed from a
// token.
const minSecret = 32

// Settings are all that the service is told from outside.
type Settings struct {
	HTTP     HTTPSettings
	Database DatabaseSettings
	Broker   BrokerSettings
	LiveKit  LiveKitSettings
	Log      LogSettings

	AdminAddr       string        `env:"ADMIN_ADDR" envDefault:"127.0.0.1:9081" validate:"hostname_port" help:"address of metrics and profiles, for operators only"`
	ShutdownDelay   time.Duration `env:"SHUTDOWN_DELAY" envDefault:"0s" help:"how long to serve on after SIGTERM while /readyz already says no"`
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"25s" help:"how long stopping may take, the delay included"`
}

// HTTPSettings say where the service listens.
type HTTPSettings struct {
	Addr string `env:"HTTP_ADDR" envDefault:":8081" validate:"hostname_port" help:"address of LiveKit's webhooks and of /livez and /readyz"`
}

// DatabaseSettings say where the service's PostgreSQL is.
type DatabaseSettings struct {
	URL            config.Secret `env:"DATABASE_URL,required" validate:"url" help:"PostgreSQL URL of the service's own role, which reads and writes rows"`
	MigrateURL     config.Secret `env:"MIGRATE_DATABASE_URL" validate:"url" help:"PostgreSQL URL of the role that owns the schema; for migrations"`
	MigrateOnStart bool          `env:"MIGRATE_ON_START" envDefault:"true" help:"whether serve brings the schema up to date first"`
}

// BrokerSettings say where RabbitMQ is.
type BrokerSettings struct {
	URL        config.Secret `env:"AMQP_URL,required" validate:"url" help:"RabbitMQ URL of the user bridge, as in amqp://bridge:password@host:5672/vhost"`
	Partitions int           `env:"EVENT_PARTITIONS" envDefault:"8" help:"number of partitions of the events; fixed by the first declaration on a broker"`
}

// LiveKitSettings say where LiveKit is and how it knows us.
type LiveKitSettings struct {
	APIURL           string        `env:"LIVEKIT_API_URL,required" help:"URL of LiveKit's server API, as in http://livekit:7880"`
	PublicURL        string        `env:"LIVEKIT_PUBLIC_URL,required" help:"URL that clients connect to, as in wss://live.example.com"`
	APIKey           string        `env:"LIVEKIT_API_KEY,required" help:"LiveKit API key that signs tokens and webhooks"`
	APISecret        config.Secret `env:"LIVEKIT_API_SECRET,required" help:"secret of LIVEKIT_API_KEY, at least 32 bytes"`
	WebhookKeys      config.Secret `env:"LIVEKIT_WEBHOOK_KEYS" help:"more keys that webhooks may be signed with, for rotation: 'key: secret' pairs, by comma or line"`
	DepartureTimeout time.Duration `env:"ROOM_DEPARTURE_TIMEOUT" envDefault:"20s" help:"how long a room stays after the last one has left"`
	EmptyTimeout     time.Duration `env:"ROOM_EMPTY_TIMEOUT" envDefault:"5m" help:"how long a room stays without a member: one that has not been joined, or that only strangers, agents and recorders are in"`
	ReconnectWindow  time.Duration `env:"RECONNECT_WINDOW" envDefault:"30s" help:"how long somebody who was lost may take to come back"`
	Reconcile        time.Duration `env:"RECONCILE_INTERVAL" envDefault:"15s" help:"how often all calls are compared with LiveKit; 0 turns it off"`
	LivenessTimeout  time.Duration `env:"LIVENESS_TIMEOUT" envDefault:"0s" help:"how long a participant may be listed without a sign of life before LiveKit is asked for them; 0: four times RECONNECT_WINDOW"`
}

// LogSettings say how the service logs.
type LogSettings struct {
	Level  string `env:"LOG_LEVEL" envDefault:"info" validate:"oneof=debug info warn error" help:"lowest level that is logged: debug, info, warn or error"`
	Format string `env:"LOG_FORMAT" envDefault:"json" validate:"oneof=json text" help:"form of the log: json or text"`
}

// MigrateSettings are what the migrate command is told.
type MigrateSettings struct {
	URL config.Secret `env:"MIGRATE_DATABASE_URL,required" validate:"url" help:"PostgreSQL URL of the role that owns the schema"`
}

// Validate implements config.Validator.
func (s *Settings) Validate() []config.Problem {
	var problems []config.Problem
	bad := func(name, reason string) { problems = append(problems, config.Problem{Name: name, Reason: reason}) }
	if s.Database.MigrateOnStart && s.Database.MigrateURL == "" {
		bad("MIGRATE_DATABASE_URL", "is required to migrate; set it, or MIGRATE_ON_START=false where the migrate command is run otherwise")
	}
	if err := topology.CheckPartitions(s.Broker.Partitions); err != nil {
		bad("EVENT_PARTITIONS", fmt.Sprintf("must be from %d to %d", topology.MinPartitions, topology.MaxPartitions))
	}
	if !hasScheme(s.LiveKit.APIURL, "http", "https", "ws", "wss") {
		bad("LIVEKIT_API_URL", "must be a URL such as http://livekit:7880")
	}
	if !hasScheme(s.LiveKit.PublicURL, "ws", "wss") {
		bad("LIVEKIT_PUBLIC_URL", "must be a URL such as wss://live.example.com or ws://127.0.0.1:7880")
	}
	if len(s.LiveKit.APISecret.Reveal()) < minSecret {
		bad("LIVEKIT_API_SECRET", fmt.Sprintf("must have at least %d bytes; make one with: openssl rand -hex 32", minSecret))
	}
	if _, err := s.LiveKit.webhookKeys(); err != nil {
		bad("LIVEKIT_WEBHOOK_KEYS", err.Error())
	}
	s.LiveKit.checkTimes(bad)
	if s.ShutdownDelay < 0 || s.ShutdownTimeout <= s.ShutdownDelay {
		bad("SHUTDOWN_TIMEOUT", "must be longer than SHUTDOWN_DELAY, which it includes")
	}
	slices.SortFunc(problems, func(a, b config.Problem) int { return strings.Compare(a.Name, b.Name) })
	return problems
}

// policy is how long the bridge waits.
func (l LiveKitSettings) policy() domain.Policy {
	return domain.Policy{Grace: l.ReconnectWindow, DepartureTimeout: l.DepartureTimeout, EmptyTimeout: l.EmptyTimeout}
}

// windowsToLiveness is how many reconnect windows a participant may be listed without a sign of
// life.
const windowsToLiveness = 4

func (l LiveKitSettings) liveness() time.Duration {
	if l.LivenessTimeout == 0 {
		return windowsToLiveness * l.ReconnectWindow
	}
	return l.LivenessTimeout
}

func (l LiveKitSettings) checkTimes(bad func(name, reason string)) {
	for name, d := range map[string]time.Duration{"ROOM_DEPARTURE_TIMEOUT": l.DepartureTimeout, "ROOM_EMPTY_TIMEOUT": l.EmptyTimeout} {
		if d < time.Second || d > 24*time.Hour {
			bad(name, "must be from 1s to 24h")
		}
	}
	if w := l.ReconnectWindow; w < time.Second || w > time.Hour {
		bad("RECONNECT_WINDOW", "must be from 1s to 1h")
	}
	if t := l.LivenessTimeout; t != 0 && t < time.Second || t > 24*time.Hour {
		bad("LIVENESS_TIMEOUT", "must be from 1s to 24h, or 0 for four times RECONNECT_WINDOW")
	}
	if i := l.Reconcile; i != 0 && i < time.Second || i > time.Hour {
		bad("RECONCILE_INTERVAL", "must be from 1s to 1h, or 0 for never")
	}
}

func hasScheme(text string, schemes ...string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && slices.Contains(schemes, u.Scheme)
}

// webhookKeys returns every key that a webhook may be signed with. No error quotes a secret.
func (l LiveKitSettings) webhookKeys() (map[string]config.Secret, error) {
	keys := map[string]config.Secret{}
	for _, pair := range strings.FieldsFunc(l.WebhookKeys.Reveal(), func(r rune) bool { return r == ',' || r == '\n' }) {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, secret, found := strings.Cut(pair, ":")
		key, secret = strings.TrimSpace(key), strings.TrimSpace(secret)
		switch {
		case !found || key == "":
			return nil, fmt.Errorf("must be pairs of 'key: secret', separated by commas or lines")
		case len(secret) < minSecret:
			return nil, fmt.Errorf("must give each key a secret of at least %d bytes", minSecret)
		}
		keys[key] = config.Secret(secret)
	}
	keys[l.APIKey] = l.APISecret
	return keys, nil
}
