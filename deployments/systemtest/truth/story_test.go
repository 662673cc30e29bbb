//go:build integration

package truth

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// story is every way in which a log may go that is right, by its lines. Most have one.
type story [][]string

// happens is what comes in this order and no other.
func happens(lines ...string) story { return story{lines} }

// then has parts follow each other.
func then(parts ...story) story {
	whole := story{nil}
	for _, part := range parts {
		var longer story
		for _, begun := range whole {
			for _, way := range part {
				longer = append(longer, slices.Concat(begun, way))
			}
		}
		whole = longer
	}
	return whole
}

// either is one of the parts.
func either(parts ...story) story { return slices.Concat(parts...) }

// sideBySide has two parts happen at once, each in its own order.
func sideBySide(a, b story) story {
	var ways story
	for _, one := range a {
		for _, other := range b {
			ways = append(ways, interleaved(one, other)...)
		}
	}
	return ways
}

func interleaved(a, b []string) story {
	if len(a) == 0 || len(b) == 0 {
		return story{slices.Concat(a, b)}
	}
	var ways story
	for _, rest := range interleaved(a[1:], b) {
		ways = append(ways, slices.Concat(a[:1], rest))
	}
	for _, rest := range interleaved(a, b[1:]) {
		ways = append(ways, slices.Concat(b[:1], rest))
	}
	return ways
}

// isTold says what is wrong with a log.
func (s story) isTold(lines []string) error {
	for _, way := range s {
		if slices.Equal(way, lines) {
			return nil
		}
	}
	return fmt.Errorf("the log is\n  %s\nand should be (one of %d ways)\n  %s", strings.Join(lines, "\n  "), len(s), strings.Join(s[0], "\n  "))
}

// What the logs are made of.

// opens is a call that speakers join, one after the other.
func opens(speakers ...string) story {
	lines := []string{"call.created", "call.connecting", "call.connected " + speakers[0]}
	for _, user := range speakers {
		lines = append(lines, "call.participant.joined "+user, "call.track.published "+user)
	}
	return story{lines}
}

func speaks(user string) story {
	return happens("call.participant.joined "+user, "call.track.published "+user)
}

// leaves is somebody who publishes going, in order, as the webhook says.
func leaves(user, reason string) story {
	return happens("call.track.unpublished "+user, "call.participant.left "+user+" "+reason)
}

func hangsUp(user string) story { return leaves(user, "client_initiated") }

// isLost is somebody who publishes being waited for.
func isLost(user, reason string) story {
	return happens("call.track.unpublished "+user, "call.participant.reconnecting "+user+" "+reason)
}

// isBack is somebody who was lost publishing again.
func isBack(user string) story {
	return happens("call.participant.reconnected "+user, "call.track.published "+user)
}

// isGone is somebody's time to come back being over.
func isGone(user, reason string) story {
	return happens("call.participant.left " + user + " " + reason)
}

// changesConnection is somebody who never left: the tracks of the old connection go, those of the new one come.
func changesConnection(user string) story {
	return happens("call.track.unpublished "+user, "call.track.published "+user)
}

func isOver() story { return happens("call.disconnected completed", "call.ended completed") }

func fails(code string) story {
	return happens("call.disconnected "+code, "call.failed "+code)
}

func TestStories(t *testing.T) {
	two := sideBySide(happens("a", "b"), happens("c"))
	for _, way := range [][]string{{"a", "b", "c"}, {"a", "c", "b"}, {"c", "a", "b"}} {
		if err := two.isTold(way); err != nil {
			t.Error(err)
		}
	}
	whole := then(happens("x"), either(happens("y"), happens("z")))
	for _, wrong := range [][]string{{"x"}, {"y", "x"}, {"x", "y", "z"}, nil} {
		if whole.isTold(wrong) == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
	if len(two) != 3 || len(whole) != 2 || whole.isTold([]string{"x", "z"}) != nil {
		t.Errorf("there are other ways: %v, %v", two, whole)
	}
}
