package outbox

import (
	"testing"

	"github.com/callplane/callplane/libs/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
