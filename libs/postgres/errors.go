package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

// SQLSTATE codes, from the PostgreSQL manual's appendix A.
const (
	uniqueViolation       = "23505"
	insufficientPrivilege = "42501"
	serializationFailure  = "40001"
	deadlockDetected      = "40P01"
	lockNotAvailable      = "55P03"
	readOnlyTransaction   = "25006" // the server became a standby
	idleInTransaction     = "25P03"
	transactionTimeout    = "25P04"
	queryCanceled         = "57014" // statement_timeout
)

// IsUniqueViolation tells whether err is a violation of the named unique constraint or index, or of any where the name is empty.
func IsUniqueViolation(err error, constraint string) bool {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code == uniqueViolation && (constraint == "" || pgErr.ConstraintName == constraint)
	}
	return constraint == "" && errors.Is(err, gorm.ErrDuplicatedKey)
}

// IsStatementTimeout tells whether err says that a statement was not done within statement_timeout.
func IsStatementTimeout(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == queryCanceled
}

// IsTransient tells whether the same work may succeed when it is done again: the server is away, restarting or short of resources, the
// connection broke, or the transaction lost against another one. The end of the caller's own context is not transient; a caller with a
// deadline asks its context first, since a connection that took too long looks the same.
func IsTransient(err error) bool {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return isTransientState(pgErr.Code)
	}
	var connectErr *pgconn.ConnectError
	if errors.As(err, &connectErr) {
		return !errors.Is(err, context.Canceled)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var netErr net.Error
	return errors.As(err, &netErr) || pgconn.SafeToRetry(err) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed)
}

func isTransientState(state string) bool {
	switch state {
	case serializationFailure, deadlockDetected, lockNotAvailable, readOnlyTransaction, idleInTransaction, transactionTimeout, queryCanceled:
		return true
	}
	// 08 connection exception, 53 insufficient resources, 57P admin shutdown, crash shutdown, cannot connect now, 58 system error.
	return strings.HasPrefix(state, "08") || strings.HasPrefix(state, "53") || strings.HasPrefix(state, "57P") || strings.HasPrefix(state, "58")
}

// isRefusal tells that the server doesn't let this user in: 28 invalid authorization, 3D unknown database, 42501 insufficient privilege.
func isRefusal(state string) bool {
	return strings.HasPrefix(state, "28") || strings.HasPrefix(state, "3D") || state == insufficientPrivilege
}
