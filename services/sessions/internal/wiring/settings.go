package wiring

import (
	"time"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
)

// Settings are read from the environment.
type Settings struct {
	HTTPAddr           string        `env:"HTTP_ADDR" envDefault:":8080" help:"address of the public API" validate:"hostname_port"`
	AdminAddr          string        `env:"ADMIN_ADDR" envDefault:"127.0.0.1:9080" help:"address of /metrics and pprof; not for users" validate:"hostname_port"`
	DatabaseURL        config.Secret `env:"DATABASE_URL,required" validate:"url" help:"PostgreSQL URL, as the role that reads and writes"`
	MigrateDatabaseURL config.Secret `env:"MIGRATE_DATABASE_URL" validate:"url" help:"PostgreSQL URL, as the role that owns the schema; for migrations"`
	MigrateOnStart     bool          `env:"MIGRATE_ON_START" envDefault:"true" help:"migrate before serving; replicas may start at once"`
	AMQPURL            config.Secret `env:"AMQP_URL,required" validate:"url" help:"RabbitMQ URL, such as amqp://sessions:password@host:5672/%2F"`
	EventPartitions    int           `env:"EVENT_PARTITIONS" envDefault:"8" help:"partitions of the event queues; fixed by the first start on a broker"`
	AuthMode           string        `env:"AUTH_MODE" envDefault:"jwt" help:"how callers show who they are: jwt (Authorization: Bearer), or dev (the headers X-User-Id and X-Scopes are believed; never where others can reach it)"`
	AuthJWKSURL        string        `env:"AUTH_JWKS_URL" help:"URL of the identity provider's JWK set, for tokens signed with RS256, ES256 or EdDSA" validate:"http_url"`
	AuthHS256Secret    config.Secret `env:"AUTH_HS256_SECRET" help:"secret that tokens are signed with (HS256), of at least 32 bytes; instead of AUTH_JWKS_URL"`
	AuthIssuer         string        `env:"AUTH_ISSUER" help:"claim iss that tokens must have; required with AUTH_JWKS_URL"`
	AuthAudience       string        `env:"AUTH_AUDIENCE" help:"claim aud that tokens must have, among others; required with AUTH_JWKS_URL"`
	CORSAllowedOrigins []string      `env:"CORS_ALLOWED_ORIGINS" help:"origins of web pages that may use the API in a browser, such as https://app.example.com; exact, by comma"`
	RateLimitRPS       float64       `env:"RATE_LIMIT_RPS" envDefault:"0" help:"requests a second that one caller may make, at each replica; 0 is without limit" validate:"min=0,max=1000000"`
	TrustedProxies     []string      `env:"TRUSTED_PROXIES" help:"addresses or networks of proxies whose X-Forwarded-For is believed, by comma"`
	ActivationTimeout  time.Duration `env:"ACTIVATION_TIMEOUT" envDefault:"10m" help:"how long a new session waits for the first participant before it fails" validate:"min=1s"`
	SessionRetention   time.Duration `env:"SESSION_RETENTION" envDefault:"0s" help:"how long a session is kept after its end, then it is deleted with its whole log; 0 keeps everything"`
	LogLevel           string        `env:"LOG_LEVEL" envDefault:"info" help:"debug, info, warn or error" validate:"oneof=debug info warn error"`
	LogFormat          string        `env:"LOG_FORMAT" envDefault:"json" help:"json or text" validate:"oneof=json text"`
	ShutdownDelay      time.Duration `env:"SHUTDOWN_DELAY" envDefault:"0s" help:"how long to serve on after /readyz says no, for balancers to notice" validate:"min=0s"`
	ShutdownTimeout    time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"25s" help:"how long everything may take to end, the delay included" validate:"min=1s"`
}

// Validate implements config.Validator.
func (s *Settings) Validate() []config.Problem {
	var problems []config.Problem
	add := func(name, reason string) { problems = append(problems, config.Problem{Name: name, Reason: reason}) }
	if s.MigrateOnStart && s.MigrateDatabaseURL == "" {
		add("MIGRATE_DATABASE_URL", "is required to migrate; set it, or MIGRATE_ON_START=false where the migrate command is run otherwise")
	}
	if err := topology.CheckPartitions(s.EventPartitions); err != nil {
		add("EVENT_PARTITIONS", "is wrong: "+err.Error())
	}
	problems = append(problems, s.authProblems()...)
	problems = append(problems, s.edgeProblems()...)
	if s.SessionRetention != 0 && s.SessionRetention < time.Second {
		add("SESSION_RETENTION", "must be 0 to keep everything, or at least 1s")
	}
	if s.ShutdownDelay >= s.ShutdownTimeout {
		add("SHUTDOWN_DELAY", "must be shorter than SHUTDOWN_TIMEOUT, which includes it")
	}
	return problems
}
