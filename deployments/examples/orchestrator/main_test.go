package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestSettingsAreToldAndChecked(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"--help"}, nil, &out))
	require.Contains(t, out.String(), "AMQP_URL")
	require.ErrorContains(t, run(t.Context(), []string{"now"}, nil, &out), "--help")
	err := run(t.Context(), nil, []string{"AMQP_URL=:hidden:"}, &out)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hidden")
}
