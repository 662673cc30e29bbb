// Package outbox publishes what a transaction has decided to say, at least once and in order per key, whatever crashes.
//
// A use case inserts rows in the transaction that changes its state, with the row that the key stands for locked first: so ids of one key
// are in commit order, although ids of different keys are not. Rows are spread over lanes by their key, and each lane is relayed by one
// process at a time, which holds a lease row; leases expire by the database's clock.
//
// Order is kept by these rules:
//   - The relay selects rows that are not marked published, in order of id, and never remembers where it was: a lower id may commit later.
//   - A row is sent only after the row before it of the same key is confirmed. Rows of different keys are sent at the same time.
//   - Rows that a transaction adds may be handed to the relay and sent without being read where each earlier row of the key, as the transaction
//     sees with the key's row locked, is marked published, or was published by this relay and is yet to be marked: then all of them are
//     confirmed. Whatever becomes of what is handed over, it is in the table.
//   - Marks may wait a few milliseconds for each other, and are made before anything is read.
//   - A row that the broker does not take holds back those of its key, while the others go on.
//   - A relay that lost its lease without knowing may still send, but marks nothing: marking checks the lease's fence in the same statement.
//
// So two relays of one lane at worst repeat messages, each in order: what arrives for the first time arrives in order. Receivers drop
// repetitions by message id.
package outbox
