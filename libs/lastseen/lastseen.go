// Package lastseen remembers how this process left the records that it changed last, so that the next change of one can be decided without
// reading it first. What is remembered may be old: whoever decides on it has the database compare the version as it writes, and reads the
// record where another one has changed it meanwhile.
package lastseen

import lru "github.com/hashicorp/golang-lru/v2"

// Memory holds records by their key: the state, and the version that the database compares. States are shared, so nobody may change one.
// Safe for concurrent use.
type Memory[Version comparable, State any] struct {
	records *lru.Cache[string, record[Version, State]]
}

type record[Version comparable, State any] struct {
	version Version
	state   State
	trusted bool
}

// New returns a memory of the given number of records, those that were used last. It panics where that is not at least 1.
func New[Version comparable, State any](size int) *Memory[Version, State] {
	records, err := lru.New[string, record[Version, State]](size)
	if err != nil {
		panic("lastseen.New: " + err.Error())
	}
	return &Memory[Version, State]{records: records}
}

// Recall returns how this process left a record, where it may be relied on: the last time that this process changed the record, it found it
// as it had left it the time before. Where several processes take turns on a record each would only find that it is wrong, so none tries.
func (m *Memory[Version, State]) Recall(key string) (version Version, state State, ok bool) {
	known, _ := m.records.Get(key)
	return known.version, known.state, known.trusted
}

// Left notes that this process has found a record in one version, and has committed another one with this state.
func (m *Memory[Version, State]) Left(key string, found, version Version, state State) {
	known, there := m.records.Peek(key)
	m.records.Add(key, record[Version, State]{version: version, state: state, trusted: there && known.version == found})
}

// Forget is for what was found to be wrong, or may be.
func (m *Memory[Version, State]) Forget(key string) { m.records.Remove(key) }
