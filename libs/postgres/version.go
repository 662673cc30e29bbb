package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"gorm.io/gorm"
)

// TooOldError says that the server is older than what the service supports.
type TooOldError struct {
	Version string // what the server reports
	Minimum string // the oldest supported version
}

// Error says what to do.
func (e *TooOldError) Error() string {
	return fmt.Sprintf("PostgreSQL %s is too old: upgrade the server to %s or later, or point the database URL at such a server", e.Version, e.Minimum)
}

// CheckVersion returns the server's version, and a *TooOldError where it is below minimum ("17" or "17.4").
func CheckVersion(ctx context.Context, db *gorm.DB, minimum string) (string, error) {
	lowest, err := versionNumber(minimum)
	if err != nil {
		return "", err
	}
	version, number, err := Version(ctx, db)
	if err != nil {
		return "", err
	}
	if number < lowest {
		return version, &TooOldError{Version: version, Minimum: minimum}
	}
	return version, nil
}

// versionNumber turns "17.4" into the form of server_version_num, 170004.
func versionNumber(version string) (int, error) {
	major, minor, _ := strings.Cut(version, ".")
	if minor == "" {
		minor = "0"
	}
	a, errMajor := strconv.Atoi(major)
	b, errMinor := strconv.Atoi(minor)
	if errMajor != nil || errMinor != nil {
		return 0, fmt.Errorf("PostgreSQL version %q is not of the form 17 or 17.4", version)
	}
	return a*10000 + b, nil
}
