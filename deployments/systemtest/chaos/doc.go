// Package chaos holds a test that breaks everything, again and again: two replicas of each service under load, with a broker, a database and
// LiveKit, while a schedule of faults drawn by a seed goes on. What users, streams, the broker and LiveKit saw is then judged from outside.
//
// scripts/chaos runs it for as long as one likes, with a seed of one's own; .ci/run does so for a minute, with the same seed each time, and
// make test runs only what judges it. It is a test and no command of its own because everything that it is made of is the tests': the
// servers, the stack, the callers, and what removes them all in the end.
//
//	schedule   decides by the seed alone what breaks when
//	history    is what was seen
//	checker    judges it, by rules that are tested with histories that break them
//	sabotage   are changed sources of the services, by which the run shows that it finds what it is for
package chaos
