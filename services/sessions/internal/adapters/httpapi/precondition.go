package httpapi

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// etag is a session's version as an entity tag.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// entityTag is RFC 9110's (section 8.8.3).
var entityTag = regexp.MustCompile(`^[ \t]*((?:W/)?"[^\x00-\x20\x22\x7F]*")[ \t]*(?:,|$)`)

// ifMatch reads If-Match (RFC 9110, section 13.1.1). A tag that is weak or none of ours never matches.
func ifMatch(r *http.Request) (domain.Precondition, error) {
	values := r.Header.Values("If-Match")
	if len(values) == 0 {
		return domain.Precondition{}, nil
	}
	expect := domain.Precondition{Given: true}
	rest := strings.Trim(strings.Join(values, ","), " \t")
	if rest == "*" {
		expect.Any = true
		return expect, nil
	}
	for first := true; first || rest != ""; first = false {
		match := entityTag.FindStringSubmatch(rest)
		if match == nil {
			return expect, problem.InvalidRequest.WithErrors(problem.FieldError{
				Pointer: "If-Match", Code: domain.FaultFormat, Message: `must be * or entity tags such as "3"`,
			})
		}
		if version, err := strconv.ParseInt(strings.Trim(match[1], `"`), 10, 64); err == nil && etag(version) == match[1] {
			expect.Versions = append(expect.Versions, version)
		}
		rest = rest[len(match[0]):]
	}
	return expect, nil
}
