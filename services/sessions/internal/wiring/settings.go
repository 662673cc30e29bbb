package wiring

import (
	"fmt"
	"slices"
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
	AuthMode           string        `env:"AUTH_MODE,required" help:"way in which callers show who they are: dev (the headers X-User-Id and X-Scopes are believed; never where others can reach it)"`
	LogLevel           string        `env:"LOG_LEVEL" envDefault:"info" help:"debug, info, warn or error" validate:"oneof=debug info warn error"`
	LogFormat          string        `env:"LOG_FORMAT" envDefault:"json" help:"json or text" validate:"oneof=json text"`
	ShutdownDelay      time.Duration `env:"SHUTDOWN_DELAY" envDefault:"0s" help:"how long to serve on after /readyz says no, for balancers to notice" validate:"min=0s"`
	ShutdownTimeout    time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"25s" help:"how long everything may take to end, the delay included" validate:"min=1s"`
}

const authDev = "dev"

// authModes are the modes that this version knows.
var authModes = []string{authDev}

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
	if s.AuthMode != "" && !slices.Contains(authModes, s.AuthMode) {
		add("AUTH_MODE", fmt.Sprintf("%q is not a mode of this version; the modes are: %v", s.AuthMode, authModes))
	}
	if s.ShutdownDelay >= s.ShutdownTimeout {
		add("SHUTDOWN_DELAY", "must be shorter than SHUTDOWN_TIMEOUT, which includes it")
	}
	return problems
}
