// Package live follows the sessions' logs for streams.
//
// The hub of a replica is told what each commit added: by the replica's own store directly, by others with a hint, upon which it reads the
// log. Streams keep their own place: in one session's log a Seq; over all of a user's sessions a moment, and the Seq of each session with
// something newer. What comes is passed on only where it joins what was sent, and everything else is read from the log. So lost, late and
// repeated tidings cost a read or a moment, never an event. A sweep finds what no tidings told of.
//
// Memory is bounded whatever readers do: for each session that is watched here a few recent entries are kept, for each user's stream a few
// commits. Who is further behind reads the log by pages.
package live
