package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommands(t *testing.T) {
	cases := map[string]struct {
		args   []string
		env    []string
		status int
		out    string
		err    string
	}{
		"version":                    {[]string{"version"}, nil, 0, "bridge dev (go1.", ""},
		"help":                       {[]string{"--help"}, nil, 0, "LIVEKIT_API_SECRET", ""},
		"help tells of dead letters": {[]string{"help"}, nil, 0, "dead requeue", ""},
		"dead without a verb":        {[]string{"dead"}, nil, 1, "", "dead list"},
		"dead without a broker":      {[]string{"dead", "list"}, nil, 1, "", "AMQP_URL is required"},
		"unknown":                    {[]string{"dance"}, nil, 2, "", `there is no command "dance"`},
		"serve without settings":     {nil, nil, 1, "", "DATABASE_URL is required"},
		"migrate without settings":   {[]string{"migrate"}, nil, 1, "", "MIGRATE_DATABASE_URL is required"},
		"migrate without server":     {[]string{"migrate"}, []string{"MIGRATE_DATABASE_URL=postgres://x:hidden@127.0.0.1:1/x"}, 1, "", "migrate"},
		"healthcheck of nobody":      {[]string{"healthcheck"}, []string{"HTTP_ADDR=127.0.0.1:1"}, 1, "", "health check"},
		"serve with a bad database":  {[]string{"serve"}, []string{"DATABASE_URL=:hidden:"}, 1, "", "AMQP_URL is required"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var out, err bytes.Buffer
			require.Equal(t, tc.status, run(tc.args, tc.env, &out, &err))
			require.Contains(t, out.String(), tc.out)
			require.Contains(t, err.String(), tc.err)
			require.NotContains(t, err.String(), "hidden")
		})
	}
}
