package httpapi

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// limitedCallers is how many callers are remembered. The one who was silent for longest is forgotten first; by then their allowance has
// usually filled up again, so nothing is given away. An entry takes some 200 bytes.
const limitedCallers = 1 << 16

// network6 is how much of an IPv6 address tells a subscriber: whoever has one address has its whole /64 (RFC 6177).
const network6 = 64

// Limit bounds the requests of each caller, in this process.
type Limit struct {
	perSecond float64
	now       func() time.Time
	callers   *lru.Cache[string, *rate.Limiter]
}

// NewLimit allows each caller perSecond requests a second, and at once as many as in one second; at least one. It is nil, which bounds
// nothing, where perSecond is 0.
func NewLimit(perSecond float64, now func() time.Time) (*Limit, error) {
	if perSecond == 0 {
		return nil, nil //nolint:nilnil // nil is the limit that bounds nothing.
	}
	if !(perSecond > 0) || math.IsInf(perSecond, 1) {
		return nil, errors.New("a rate limit must be a positive number of requests a second")
	}
	callers, err := lru.New[string, *rate.Limiter](limitedCallers)
	return &Limit{perSecond: perSecond, now: now, callers: callers}, err
}

// rateLimitedError says that a caller has to wait.
type rateLimitedError struct{ wait time.Duration }

func (e *rateLimitedError) Error() string { return "too many requests of one caller" }

// take takes one request from the caller's allowance. Its error is a *rateLimitedError where nothing is left of it.
func (l *Limit) take(caller string) error {
	if l == nil {
		return nil
	}
	allowance, known := l.callers.Get(caller)
	if !known {
		allowance = rate.NewLimiter(rate.Limit(l.perSecond), int(math.Ceil(l.perSecond)))
		if previous, raced, _ := l.callers.PeekOrAdd(caller, allowance); raced {
			allowance = previous
		}
	}
	now := l.now()
	if allowance.AllowN(now, 1) {
		return nil
	}
	missing := 1 - allowance.TokensAt(now)
	return &rateLimitedError{time.Duration(missing / l.perSecond * float64(time.Second))}
}

// pauseOf returns the whole seconds that a caller is told to wait.
func pauseOf(err error) string {
	var limited *rateLimitedError
	if !errors.As(err, &limited) {
		return retryAfter
	}
	return strconv.Itoa(max(1, int(math.Ceil(limited.wait.Seconds()))))
}

// limitAddress bounds requests to what everybody may see.
func (a API) limitAddress(c *gin.Context) {
	if err := a.Limit.take(addressOf(c)); err != nil {
		fail(c, err)
	}
}

// addressOf names a client that has not shown who they are.
func addressOf(c *gin.Context) string {
	address, err := netip.ParseAddr(c.ClientIP())
	if err != nil {
		return "address"
	}
	if address = address.Unmap(); address.Is6() {
		if network, err := address.WithZone("").Prefix(network6); err == nil {
			return "address " + network.String()
		}
	}
	return "address " + address.String()
}
