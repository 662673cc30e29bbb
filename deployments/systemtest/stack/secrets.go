package stack

import (
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/callplane/callplane/deployments/systemtest/replay"
)

// anyJWT matches a signed token's beginning, whoever made it: two JSON objects in base64url (RFC 7519).
var anyJWT = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}`)

// secretList is what no log may ever hold.
type secretList struct {
	mu     sync.Mutex
	values []string
}

func (l *secretList) add(value string) {
	if value == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values = append(l.values, value)
}

// addPassword adds the password of a URL.
func (l *secretList) addPassword(address string) {
	if u, err := url.Parse(address); err == nil && u.User != nil {
		password, _ := u.User.Password()
		l.add(password)
	}
}

// foundIn says, without repeating any, which secrets the log holds.
func (l *secretList) foundIn(log string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, value := range l.values {
		if strings.Contains(log, value) {
			found = append(found, "a password, key or token that begins with "+value[:3])
		}
	}
	if anyJWT.MatchString(log) {
		found = append(found, "a signed token")
	}
	if strings.Contains(log, replay.TURNPassword) || strings.Contains(log, "turnPassword") {
		found = append(found, "a room's turnPassword")
	}
	return found
}
