package wiring

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/config"
)

func TestOrigins(t *testing.T) {
	settings, err := config.Load[Settings](environment("CORS_ALLOWED_ORIGINS=https://app.example.com, http://localhost:5173,capacitor://localhost,"))
	require.NoError(t, err)
	require.Equal(t, []string{"https://app.example.com", "http://localhost:5173", "capacitor://localhost"}, settings.origins())
	settings, err = config.Load[Settings](environment())
	require.NoError(t, err)
	require.Empty(t, settings.origins())
	for _, origin := range []string{
		"*", "https://*.example.com", "null", "https://app.example.com/", "https://app.example.com/path", "https://App.example.com", "HTTPS://app.example.com",
		"app.example.com", "https://app.example.com:443", "http://app.example.com:80", "https://user@app.example.com", "https://app.example.com?x",
		"https://app.example.com#x", "https://", "//app.example.com", "https://a b",
	} {
		_, err := config.Load[Settings](environment("CORS_ALLOWED_ORIGINS=https://good.example.com," + origin))
		require.ErrorContains(t, err, "CORS_ALLOWED_ORIGINS", origin)
		require.ErrorContains(t, err, origin)
		require.NotContains(t, err.Error(), "good.example.com")
	}
}

func TestTrustedProxies(t *testing.T) {
	settings, err := config.Load[Settings](environment("TRUSTED_PROXIES=10.0.0.7, 192.168.1.9/16,2001:db8::1,2001:db8::/32"))
	require.NoError(t, err)
	prefixes, err := settings.trustedProxies()
	require.NoError(t, err)
	require.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.7/32"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("2001:db8::/32"),
	}, prefixes)
	for _, value := range []string{"proxy.example.com", "10.0.0.0/33", "10.0.0", "*"} {
		_, err := config.Load[Settings](environment("TRUSTED_PROXIES=" + value))
		require.ErrorContains(t, err, "TRUSTED_PROXIES")
	}
}

func TestRateLimitIsANumberOfRequests(t *testing.T) {
	for _, value := range []string{"-1", "NaN", "Inf", "many", "1e9"} {
		_, err := config.Load[Settings](environment("RATE_LIMIT_RPS=" + value))
		require.ErrorContains(t, err, "RATE_LIMIT_RPS", value)
	}
	for value, want := range map[string]float64{"0": 0, "0.5": 0.5, "100": 100, "": 0} {
		settings, err := config.Load[Settings](environment("RATE_LIMIT_RPS=" + value))
		require.NoError(t, err)
		require.InDelta(t, want, settings.RateLimitRPS, 0)
	}
}
