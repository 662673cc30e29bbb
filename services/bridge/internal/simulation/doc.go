// Package simulation runs the use cases of the bridge against a simulated media provider, which
// fails and lies as real ones do, in the time of a synctest bubble. A schedule lists what happens
// in two calls; Run plays it, holds every event to rules meanwhile, ends all lies, and holds the
// bridge to the provider's real state within a deadline.
package simulation
