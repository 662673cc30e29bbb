package livekit

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxDiscarded is how much of an answer is read to keep its connection; LiveKit's own has a few
// bytes.
const maxDiscarded = 4 << 10

// clock reads the time of a LiveKit server off the header Date of its answers.
type clock struct {
	url    string
	client *http.Client
}

func newClock(apiURL string) clock {
	url := strings.TrimSuffix(apiURL, "/") + "/"
	if rest, isWS := strings.CutPrefix(url, "ws"); isWS {
		url = "http" + rest
	}
	client := &http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // Its time is good.
	}
	if shared, is := http.DefaultTransport.(*http.Transport); is {
		client.Transport = shared.Clone() // Its connections can be closed without closing those of others.
	}
	return clock{url: url, client: client}
}

// offset returns how far the server's clock is ahead of ours, within a second, and false where
// there is no answer with a time. Any answer counts, whatever its status, and one of a proxy as
// well.
func (c clock) offset(ctx context.Context) (time.Duration, bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, http.NoBody)
	if err != nil {
		return 0, false
	}
	asked := time.Now()
	response, err := c.client.Do(request)
	if err != nil {
		return 0, false
	}
	took := time.Since(asked)
	_, _ = io.CopyN(io.Discard, response.Body, maxDiscarded)
	_ = response.Body.Close() // The header says it all.
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return 0, false
	}
	// The header is the second in which the answer was made, sometime between asked and now.
	return date.Add(time.Second / 2).Sub(asked.Add(took / 2)), true
}
