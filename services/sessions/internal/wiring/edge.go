package wiring

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/callplane/callplane/libs/config"
)

// edgeProblems says what is wrong with the settings of who reaches the API and from where.
func (s *Settings) edgeProblems() []config.Problem {
	var problems []config.Problem
	for _, origin := range trimmed(s.CORSAllowedOrigins) {
		if reason := wrongOrigin(origin); reason != "" {
			problems = append(problems, config.Problem{Name: "CORS_ALLOWED_ORIGINS", Reason: fmt.Sprintf("has %q; %s", origin, reason)})
		}
	}
	if _, err := s.trustedProxies(); err != nil {
		problems = append(problems, config.Problem{Name: "TRUSTED_PROXIES", Reason: err.Error()})
	}
	return problems
}

// origins returns CORS_ALLOWED_ORIGINS.
func (s *Settings) origins() []string { return trimmed(s.CORSAllowedOrigins) }

// defaultPorts are left out of an origin by browsers.
var defaultPorts = map[string]string{"http": "80", "https": "443"}

// wrongOrigin says why no browser would ever send this origin (RFC 6454, section 6.2), or why it must not be allowed; empty where it is good.
func wrongOrigin(origin string) string {
	const form = "an origin is exactly what browsers send, such as https://app.example.com"
	if strings.Contains(origin, "*") {
		return "there are no wildcards; name each origin"
	}
	if origin == "null" {
		return "any page can make itself the origin null; serve the pages from an origin of their own"
	}
	parsed, err := url.Parse(origin)
	if err != nil || parsed.Host == "" || parsed.Scheme+"://"+parsed.Host != origin || origin != strings.ToLower(origin) {
		return form
	}
	if port := parsed.Port(); port != "" && port == defaultPorts[parsed.Scheme] {
		return "browsers leave the scheme's own port out: " + strings.TrimSuffix(origin, ":"+port)
	}
	return ""
}

// trustedProxies returns TRUSTED_PROXIES; a single address is the prefix with nothing but it.
func (s *Settings) trustedProxies() ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, value := range trimmed(s.TrustedProxies) {
		if address, err := netip.ParseAddr(value); err == nil {
			prefixes = append(prefixes, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(value)
		if err != nil {
			return nil, fmt.Errorf("has %q; it must be addresses or networks such as 10.0.0.7 or 10.0.0.0/8, separated by commas", value)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// trimmed leaves out the space around entries of a list.
func trimmed(list []string) []string {
	entries := make([]string, 0, len(list))
	for _, entry := range list {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}
