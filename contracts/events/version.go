package events

import (
	"errors"
	"strconv"
	"strings"
)

// version is a type's contract version. A minor adds optional payload fields; anything that an
// existing consumer could trip over is a new major.
type version struct{ major, minor int }

func (v version) String() string { return strconv.Itoa(v.major) + "." + strconv.Itoa(v.minor) }

var errVersion = errors.New("not of the form major.minor")

// parseVersion reads "major.minor": decimal numbers of at most four digits, without leading zeros.
func parseVersion(s string) (version, error) {
	majorText, minorText, found := strings.Cut(s, ".")
	if !found {
		return version{}, errVersion
	}
	major, err := parseVersionPart(majorText)
	if err != nil {
		return version{}, err
	}
	minor, err := parseVersionPart(minorText)
	if err != nil {
		return version{}, err
	}
	return version{major: major, minor: minor}, nil
}

func parseVersionPart(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || len(s) > 4 || strconv.FormatUint(n, 10) != s {
		return 0, errVersion
	}
	return int(n), nil
}
