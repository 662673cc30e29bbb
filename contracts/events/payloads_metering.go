package events

// Decimal is a decimal number as it was written, such as "0.168200". It stays text until somebody
// computes with it, so that nobody rounds it on the way; math/big's Rat reads it.
type Decimal string

// Money is a sum in one currency.
type Money struct {
	Value    Decimal `json:"value"`
	Currency string  `json:"currency"` // ISO 4217
}

// Metered says what is measured, and in what.
type Metered struct {
	Meter string `json:"meter"`
	Unit  string `json:"unit"`
}

// Period is a span of time.
type Period struct {
	From Instant `json:"from"` // inclusive
	To   Instant `json:"to"`   // exclusive
}

// BillingRecord says which record of use an event speaks of.
type BillingRecord struct {
	RecordID  string  `json:"recordId"`
	AccountID *string `json:"accountId"`
}

// Adjustment is what is added to a record; negative takes away. At least one of the fields is there.
type Adjustment struct {
	Quantity *Decimal `json:"quantity,omitempty"`
	Amount   *Money   `json:"amount,omitempty"`
}

// UsageTickPayload is the payload of usage.tick: what was used in a period.
type UsageTickPayload struct {
	Metered
	UserID   *string `json:"userId"`   // null for the whole session's use
	Sequence int64   `json:"sequence"` // of the meter's ticks for the user in the session, from 1
	Quantity Decimal `json:"quantity"` // in the period
	Total    Decimal `json:"total"`    // in the session so far
	Period
}

// UsageWarningPayload is the payload of usage.warning: a limit is near.
type UsageWarningPayload struct {
	Metered
	UserID         *string  `json:"userId"`
	Total          Decimal  `json:"total"`
	Threshold      Decimal  `json:"threshold"`
	Limit          Decimal  `json:"limit"`
	LimitReachedAt *Instant `json:"limitReachedAt"` // as expected
}

// UsageStoppedPayload is the payload of usage.stopped: it may not be used any more.
type UsageStoppedPayload struct {
	Metered
	UserID  *string  `json:"userId"`
	Total   Decimal  `json:"total"`
	Limit   *Decimal `json:"limit"` // null where it was no limit that stopped it
	Code    string   `json:"code"`
	Message string   `json:"message"`
}

// BillingUsageRecordedPayload is the payload of billing.usage.recorded.
type BillingUsageRecordedPayload struct {
	BillingRecord
	Metered
	UserID   *string `json:"userId"`
	Quantity Decimal `json:"quantity"`
	Period
	Amount   *Money  `json:"amount"`   // null where it is rated elsewhere
	CausedBy *string `json:"causedBy"` // an eventId
}

// BillingAdjustmentCreatedPayload is the payload of billing.adjustment.created. The record that it
// corrects stays as it is.
type BillingAdjustmentCreatedPayload struct {
	AdjustmentID string `json:"adjustmentId"`
	BillingRecord
	Metered
	Change    Adjustment `json:"change"`
	Code      string     `json:"code"`
	Message   string     `json:"message"`
	CreatedBy Actor      `json:"createdBy"`
	CausedBy  *string    `json:"causedBy"` // an eventId
}

// EventType returns UsageTick.
func (UsageTickPayload) EventType() Type { return UsageTick }

// EventType returns UsageWarning.
func (UsageWarningPayload) EventType() Type { return UsageWarning }

// EventType returns UsageStopped.
func (UsageStoppedPayload) EventType() Type { return UsageStopped }

// EventType returns BillingUsageRecorded.
func (BillingUsageRecordedPayload) EventType() Type { return BillingUsageRecorded }

// EventType returns BillingAdjustmentCreated.
func (BillingAdjustmentCreatedPayload) EventType() Type { return BillingAdjustmentCreated }
