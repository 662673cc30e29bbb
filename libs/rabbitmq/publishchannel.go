package rabbitmq

import (
	"context"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// errOverdue ends a channel on which a message has no answer for confirmTimeout. One may never come: a quorum queue that was deleted while it
// was down and declared again keeps what a channel sends that has sent to its predecessor, as if something before it were missing.
var errOverdue = fmt.Errorf("the broker has not answered for a message for %v", confirmTimeout)

// publishing is a message on its way.
type publishing struct {
	message  Message
	sent     time.Time
	outcome  chan error // takes one value, never blocks
	returned bool       // the broker had no queue for it; its confirm comes next
}

func (p *publishing) wait(ctx context.Context) error {
	select {
	case err := <-p.outcome:
		return err
	case <-ctx.Done():
	}
	select { // an answer that came at the same time counts
	case err := <-p.outcome:
		return err
	default:
		return fmt.Errorf("%w: %w", ErrUnconfirmed, context.Cause(ctx))
	}
}

// publishChannel is one channel in confirm mode: a writer that only writes, and a reader that only reads answers, because amqp091 blocks
// the whole connection while nobody takes them.
type publishChannel struct {
	ch   *amqp.Channel
	user string
	app  string
	work chan []*publishing
	done chan struct{} // closed when the channel is no longer written to

	mu     sync.Mutex
	flying map[uint64]*publishing // by delivery tag
}

func newPublishChannel(ch *amqp.Channel, user, app string) *publishChannel {
	return &publishChannel{
		ch: ch, user: user, app: app,
		work: make(chan []*publishing), done: make(chan struct{}), flying: make(map[uint64]*publishing),
	}
}

// hand gives a batch to the writer.
func (c *publishChannel) hand(ctx context.Context, batch []*publishing) error {
	select {
	case c.work <- batch:
		return nil
	case <-c.done:
		return ErrUnavailable
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// run works until ctx ends, the broker closes the channel or leaves a message without an answer, and returns why. Everything handed over has
// its outcome by then.
func (c *publishChannel) run(ctx context.Context) error {
	// Unbuffered: only so is a return seen before the confirm that follows it.
	returns := c.ch.NotifyReturn(make(chan amqp.Return))
	confirms := c.ch.NotifyPublish(make(chan amqp.Confirmation))
	closed := c.ch.NotifyClose(make(chan *amqp.Error, 1))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.read(returns, confirms)
	}()
	reason := c.write(ctx, ended)
	close(c.done)
	_ = c.ch.Close()
	<-ended
	if reason == nil {
		reason = channelEnd(ctx, closed)
	}
	c.fail(reason)
	return reason
}

// write sends batches until ctx ends, the channel is closed (nil) or a message has no answer for too long (errOverdue).
func (c *publishChannel) write(ctx context.Context, ended <-chan struct{}) error {
	look := time.NewTicker(confirmTimeout / 4)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if c.overdue(time.Now()) {
				return errOverdue
			}
		case batch := <-c.work:
			for i, p := range batch {
				if err := c.send(p); err != nil {
					for _, unsent := range batch[i:] {
						unsent.outcome <- fmt.Errorf("%w: %w", ErrUnavailable, err)
					}
					break
				}
			}
		case <-ended:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// overdue tells whether there is a message without an answer that was sent confirmTimeout before now.
func (c *publishChannel) overdue(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.flying {
		if now.Sub(p.sent) >= confirmTimeout {
			return true
		}
	}
	return false
}

// send writes one message. Only the writer sends, so the tag that amqp091 gives next is known.
func (c *publishChannel) send(p *publishing) error {
	tag := c.ch.GetNextPublishSeqNo()
	p.sent = time.Now()
	c.mu.Lock()
	c.flying[tag] = p
	c.mu.Unlock()
	_, err := c.ch.PublishWithDeferredConfirm(p.message.Exchange, p.message.Key, true, false, p.message.publishing(c.user, c.app))
	if err != nil {
		c.mu.Lock()
		delete(c.flying, tag)
		c.mu.Unlock()
	}
	return err
}

// read takes answers until the channel is closed.
func (c *publishChannel) read(returns <-chan amqp.Return, confirms <-chan amqp.Confirmation) {
	for returns != nil || confirms != nil {
		select {
		case r, ok := <-returns:
			if !ok {
				returns = nil
				continue
			}
			c.markReturned(r)
		case confirm, ok := <-confirms:
			if !ok {
				confirms = nil
				continue
			}
			c.settle(confirm)
		}
	}
}

// markReturned finds the message that came back. AMQP names no tag in a return; of equal messages it is the oldest.
func (c *publishChannel) markReturned(r amqp.Return) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var oldest uint64
	for tag, p := range c.flying {
		same := p.message.ID == r.MessageId && p.message.Key == r.RoutingKey && p.message.Exchange == r.Exchange
		if same && !p.returned && (oldest == 0 || tag < oldest) {
			oldest = tag
		}
	}
	if oldest != 0 {
		c.flying[oldest].returned = true
	}
}

func (c *publishChannel) settle(confirm amqp.Confirmation) {
	c.mu.Lock()
	p := c.flying[confirm.DeliveryTag]
	delete(c.flying, confirm.DeliveryTag)
	c.mu.Unlock()
	switch {
	case p == nil:
	case p.returned:
		p.outcome <- ErrUnroutable
	case !confirm.Ack:
		p.outcome <- ErrNacked
	default:
		p.outcome <- nil
	}
}

// fail gives everything that was not answered its outcome.
func (c *publishChannel) fail(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for tag, p := range c.flying {
		delete(c.flying, tag)
		p.outcome <- fmt.Errorf("%w: %w", lostKind(reason), reason)
	}
}
