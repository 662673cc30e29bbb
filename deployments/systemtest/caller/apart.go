package caller

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
)

// What the environment of a caller's own process says: to which server it shall connect, and with what token.
const (
	urlSetting   = "CALLPLANE_TEST_CALLER_URL"
	tokenSetting = "CALLPLANE_TEST_CALLER_TOKEN"
)

// What a caller in a process of its own is told, and answers, a line each.
const (
	sayPublish = "publish" // audio; answered with "published"
	sayHeard   = "heard"   // answered with the number of packets
	sayMigrate = "migrate" // answered with "migrating"
	sayLeave   = "leave"   // answered with the reason, as when the server ends the stay
	joinedWord = "joined"
	inWord     = "in" // said again and again, with the sid of the connection
	goneWord   = "gone"
	failedWord = "failed"
)

// beat is how often a caller in a process of its own says that it is in the room.
const beat = 500 * time.Millisecond

// Serve joins as the environment says, does what it is told, and returns the exit code when the stay has ended.
func Serve(env func(string) string, in io.Reader, out io.Writer) int {
	say := func(words ...string) { _, _ = fmt.Fprintln(out, strings.Join(words, " ")) } // Whoever would read it may be gone.
	c, err := Join(context.Background(), env(urlSetting), env(tokenSetting))
	if err != nil {
		say(failedWord, err.Error())
		return 1
	}
	defer c.Leave()
	say(joinedWord, c.Identity(), c.SID())
	told := make(chan string)
	go func() {
		defer close(told)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			told <- lines.Text()
		}
	}()
	beats := time.NewTicker(beat)
	defer beats.Stop()
	for {
		select {
		case <-beats.C:
			if sid := c.Connected(); sid != "" {
				say(inWord, sid)
			}
		case <-c.Gone():
			say(goneWord, c.Reason())
			return 0
		case word, open := <-told:
			if !open {
				return 0 // The tests have ended.
			}
			say(c.obey(word))
		}
	}
}

func (c *Caller) obey(word string) string {
	switch word {
	case sayPublish:
		ctx, cancel := context.WithTimeout(context.Background(), connectTimeout+10*time.Second)
		defer cancel()
		// A server under load answers after the SDK's time limit. It has the request then, and the
		// session's log shows the track to the test that waits for it.
		if _, err := c.PublishAudio(ctx); err != nil && !errors.Is(err, lksdk.ErrTrackPublishTimeout) {
			return failedWord + " " + err.Error()
		}
		return "published"
	case sayHeard:
		return fmt.Sprint(c.Heard())
	case sayMigrate:
		c.Migrate()
		return "migrating"
	case sayLeave:
		c.Leave()
		return "leaving"
	default:
		return failedWord + " unknown word " + word
	}
}
