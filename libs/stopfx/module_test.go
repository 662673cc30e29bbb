package stopfx_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/callplane/callplane/libs/stopfx"
)

// TestManyMayStopAtOnce finds the race in fx where the option is left out.
func TestManyMayStopAtOnce(t *testing.T) {
	var stopper fx.Shutdowner
	app := fx.New(fx.NopLogger, stopfx.Option, fx.Populate(&stopper))
	require.NoError(t, app.Start(t.Context()))
	var stopping sync.WaitGroup
	for range 8 {
		stopping.Go(func() { _ = stopper.Shutdown(fx.ExitCode(1)) })
	}
	stopping.Wait()
	require.Equal(t, 1, (<-app.Wait()).ExitCode)
	require.NoError(t, app.Stop(t.Context()))
}
