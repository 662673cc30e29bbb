package memory

import "time"

// soonest returns how long it is until the first of some work is due, and whether there is any.
func soonest[K comparable, V any](now time.Time, work map[K]V, due func(V) time.Time) (wait time.Duration, found bool) {
	for _, one := range work {
		if left := max(0, due(one).Sub(now)); !found || left < wait {
			wait, found = left, true
		}
	}
	return wait, found
}
