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
