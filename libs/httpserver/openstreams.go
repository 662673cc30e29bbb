package httpserver

import (
	"context"
	"net"
	"sync"
)

// openStreams are a server's streams: net/http knows nothing of connections that were taken over. The nil value keeps nothing.
type openStreams struct {
	running sync.WaitGroup

	mu   sync.Mutex
	open map[*Stream]struct{}
	cut  bool // what comes is cut at once
}

type openStreamsKey struct{}

// under returns the context of all requests of a server.
func (o *openStreams) under(net.Listener) context.Context {
	return context.WithValue(context.Background(), openStreamsKey{}, o)
}

// streamsOf returns those of the server that a request came to; nil where it is none of this package.
func streamsOf(ctx context.Context) *openStreams {
	o, _ := ctx.Value(openStreamsKey{}).(*openStreams)
	return o
}

// begin counts a stream, until end.
func (o *openStreams) begin() {
	if o != nil {
		o.running.Add(1)
	}
}

// hold has the stream's connection closed by cutAll.
func (o *openStreams) hold(s *Stream) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[*Stream]struct{}{}
	}
	o.open[s] = struct{}{}
	if o.cut {
		_ = s.conn.Close()
	}
}

func (o *openStreams) end(s *Stream) {
	if o == nil {
		return
	}
	o.mu.Lock()
	delete(o.open, s)
	o.mu.Unlock()
	o.running.Done()
}

// wait returns when the last stream has ended, or with the error of ctx. No stream may begin any more.
func (o *openStreams) wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		o.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // The caller says what it waited for.
	}
}

// cutAll closes the connections of all streams, which ends their contexts.
func (o *openStreams) cutAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cut = true
	for s := range o.open {
		_ = s.conn.Close()
	}
}
