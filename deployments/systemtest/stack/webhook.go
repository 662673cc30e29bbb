package stack

import (
	"context"
	"testing"

	"github.com/callplane/callplane/deployments/systemtest/replay"
)

// Webhook sends a body to the bridge as LiveKit would, and gives the answer.
func (s *Stack) Webhook(t testing.TB, body []byte) replay.Answer {
	t.Helper()
	answer, err := s.SendWebhook(t.Context(), body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// SendWebhook is Webhook for goroutines beside the test's.
func (s *Stack) SendWebhook(ctx context.Context, body []byte) (replay.Answer, error) {
	authorization, err := replay.Sign(s.LiveKit.APIKey, s.LiveKit.APISecret, body)
	if err != nil {
		return replay.Answer{}, err
	}
	return replay.Send(ctx, s.WebhookURL(), authorization, body)
}
