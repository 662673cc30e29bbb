package app

import (
	"context"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// ListQuarantined shows to operators what was set aside, and why.
type ListQuarantined struct {
	Quarantine ports.Quarantine
}

// Do returns the latest first. Errors: ports.ErrUnavailable.
func (uc ListQuarantined) Do(ctx context.Context, request ports.QuarantineRequest) ([]ports.SetAside, error) {
	return uc.Quarantine.ListQuarantined(ctx, request)
}
