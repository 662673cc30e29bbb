// Package truth holds Callplane against what a real LiveKit server does when people, servers and webhooks get lost. Callers are processes of
// their own, so that they can be killed and frozen. Each scenario says what the log must be, event by event, who is shown at the end, and
// what became of the session; where the design leaves something open, the scenario names what may be.
package truth
