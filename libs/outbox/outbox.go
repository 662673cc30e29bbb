package outbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	_ "embed" // the schema

	"github.com/cespare/xxhash/v2"
	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/callplane/callplane/libs/rabbitmq"
)

// Schema is the SQL that creates the tables. A service has it, word for word, in its first migration. The role that relays needs SELECT,
// INSERT, UPDATE and DELETE on all three tables.
//
//go:embed schema.sql
var Schema string

// Lanes is the number of lanes; the tables' constraints know it too.
const Lanes = 4

// Row is a message to be published.
type Row struct {
	// PartitionKey is what order is kept for. The caller has locked what it stands for.
	PartitionKey string
	Exchange     string
	RoutingKey   string
	MessageID    string // a UUID, by which receivers tell repetitions
	Headers      map[string]string
	Body         []byte
}

// Lane returns the lane of a partition key, from 0 to Lanes-1.
func Lane(partitionKey string) int16 {
	return int16(xxhash.Sum64String(partitionKey) % Lanes)
}

// Insert adds rows in the order given, in the transaction tx. The W3C trace context of tx's context goes with them, unless their headers
// have one. After the commit, Relay.Wake publishes them without waiting for the next poll.
func Insert(tx *gorm.DB, rows ...Row) error {
	if len(rows) == 0 {
		return nil
	}
	stored := make([]storedRow, len(rows))
	for i, r := range rows {
		s, err := r.stored(tx)
		if err != nil {
			return fmt.Errorf("insert into the outbox: row %d of %d: %w", i+1, len(rows), err)
		}
		stored[i] = s
	}
	if err := tx.Create(&stored).Error; err != nil {
		return fmt.Errorf("insert into the outbox: %w", err)
	}
	return nil
}

// storedRow is what is inserted of the table outbox; the rest the database fills in.
type storedRow struct {
	Lane         int16  `gorm:"column:lane"`
	PartitionKey string `gorm:"column:partition_key"`
	Exchange     string `gorm:"column:exchange"`
	RoutingKey   string `gorm:"column:routing_key"`
	MessageID    string `gorm:"column:message_id"`
	Headers      string `gorm:"column:headers"`
	Body         []byte `gorm:"column:body"`
}

// TableName is gorm's.
func (storedRow) TableName() string { return "outbox" }

func (r Row) stored(tx *gorm.DB) (storedRow, error) {
	switch {
	case r.PartitionKey == "":
		return storedRow{}, errors.New("it has no partition key")
	case r.Exchange == "" || r.RoutingKey == "":
		return storedRow{}, errors.New("it has no exchange or routing key")
	case r.Body == nil:
		return storedRow{}, errors.New("it has no body")
	}
	if err := uuid.Validate(r.MessageID); err != nil {
		return storedRow{}, fmt.Errorf("its message id is not a UUID: %w", err)
	}
	headers := make(map[string]string, len(r.Headers)+2)
	maps.Copy(headers, r.Headers)
	rabbitmq.InjectTrace(tx.Statement.Context, headers)
	encoded, err := json.Marshal(headers)
	if err != nil {
		return storedRow{}, fmt.Errorf("encode its headers: %w", err)
	}
	return storedRow{
		Lane: Lane(r.PartitionKey), PartitionKey: r.PartitionKey, Exchange: r.Exchange, RoutingKey: r.RoutingKey,
		MessageID: r.MessageID, Headers: string(encoded), Body: r.Body,
	}, nil
}
