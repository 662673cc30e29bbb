package ports

import (
	"context"
	"time"
)

// Receipts are the records of webhooks. They are needed only as long as the provider may repeat one.
type Receipts interface {
	// ForgetReceipts removes up to limit receipts from before the given time and returns how many.
	ForgetReceipts(ctx context.Context, before time.Time, limit int) (int, error)
}

// OldMappings are the mappings of sessions that are final. They are needed only as long as something may still come of them.
type OldMappings interface {
	// ForgetMappings removes up to limit mappings of final sessions that have not changed since the given time, with all that hangs on
	// them, and returns how many. One whose work at the provider isn't done yet stays.
	ForgetMappings(ctx context.Context, before time.Time, limit int) (int, error)
}
