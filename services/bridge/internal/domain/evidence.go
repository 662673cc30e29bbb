package domain

// Evidence says how something about a room, a participant or a track is known (decision 0013).
type Evidence string

// The kinds of evidence.
const (
	// Told: a webhook said so. A told end of a sid is final for that sid.
	Told Evidence = "told"
	// Seen: a listing showed it, or the node that holds the room answered so.
	Seen Evidence = "seen"
	// Inferred: it follows from an absence, from an answer that nothing is there, or from a timer.
	// Later evidence of either other kind undoes it, whatever clock that evidence bears.
	Inferred Evidence = "inferred"
)

// Answer is what the provider answered when it was asked for one identity in a room, by a call that
// the node of the room answers.
type Answer struct {
	Kind  AnswerKind
	Found Listed // where Kind is Found
}

// AnswerKind is the kind of an Answer. No answer at all, an error among them, is no Answer.
type AnswerKind int

// The kinds of answers.
const (
	NotFound   AnswerKind = iota + 1 // no such participant. It proves something only where a listing agrees
	NoResponse                       // no node of the provider answers for the participant
	Found                            // the participant as the node knows them
)

// remembered is how many sids of ended connections, and of finished rooms, are kept: enough for any
// repetition of webhooks and listings, and small enough to be stored with each change.
const remembered = 8

// remember adds a sid to those whose end is known, without repeating one, and drops the oldest.
func remember(ended []string, sid string) []string {
	for _, known := range ended {
		if known == sid {
			return ended
		}
	}
	ended = append(append(make([]string, 0, len(ended)+1), ended...), sid)
	return ended[max(0, len(ended)-remembered):]
}
