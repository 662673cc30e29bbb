package httpapi

import (
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// The bounds of a page.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// parameter takes the value of a query's parameter.
type parameter func(found *faults, value string)

// readQuery gives the parameters of a URL to those who take them, each at most once; others are passed over. In errors, which tell
// everything that is wrong at once, the pointer is the parameter's name.
func readQuery(target *url.URL, parameters map[string]parameter) error {
	query, err := url.ParseQuery(target.RawQuery)
	if err != nil {
		return problem.InvalidRequest.WithDetail("The query of the URL can't be read.")
	}
	var found faults
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		switch values := query[name]; len(values) {
		case 0:
		case 1:
			parameters[name](&found, values[0])
		default:
			found.add(name, domain.FaultDuplicate, "must be given once")
		}
	}
	if len(found) > 0 {
		return problem.InvalidRequest.WithErrors(found...)
	}
	return nil
}

// limitParameter takes how many items a page may have.
func limitParameter(target *int) parameter {
	return func(found *faults, value string) {
		limit, err := strconv.Atoi(value)
		if err != nil || limit < 1 || limit > maxLimit || strconv.Itoa(limit) != value {
			found.add("limit", domain.FaultValue, "must be 1 to "+strconv.Itoa(maxLimit))
		}
		*target = limit
	}
}
