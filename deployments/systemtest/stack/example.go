package stack

import "testing"

// Example describes the example orchestrator on this stack, as a process of its own that keeps its checkpoints as the principal. It ends with
// the test.
func (s *Stack) Example(t testing.TB, principal string) *Process {
	t.Helper()
	broker := s.Vhost.URL(Orchestrator)
	s.tokens.addPassword(broker)
	p := NewProcess(Orchestrator, Binary(t, Orchestrator), map[string]string{
		"AMQP_URL": broker, "API_URL": s.API.Base(), "API_DEV_USER": principal,
	})
	s.own(t, p)
	return p
}
