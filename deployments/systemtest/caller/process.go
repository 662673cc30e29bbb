package caller

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// answerPatience is how long a caller may take to do what it is told, on a machine that has much else to do.
const answerPatience = time.Minute

// Process is a caller in a process of its own, so that it can be killed and frozen as a phone can. It is for one goroutine.
type Process struct {
	cmd      *exec.Cmd
	words    io.WriteCloser
	answers  chan string   // everything that it says but the end of its stay
	ended    chan struct{} // closed when it has ended
	identity string
	stays    stays
	reason   string // why its stay ended; written before ended is closed
}

// Start joins the LiveKit server at url with the token, in a process of the program whose path is binary, cmd/caller. The process ends with
// the test at the latest.
func Start(t testing.TB, binary, url, token string) *Process {
	t.Helper()
	p, err := TryStart(t, binary, url, token)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TryStart is Start where the server may refuse, or end the stay before it has begun.
func TryStart(t testing.TB, binary, url, token string) (*Process, error) {
	t.Helper()
	cmd := exec.Command(binary) //nolint:noctx // It ends with the test.
	cmd.Env = append(os.Environ(), urlSetting+"="+url, tokenSetting+"="+token)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // Should the tests be killed, the kernel ends it too.
	words, errIn := cmd.StdinPipe()
	said, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		t.Fatalf("starting a caller: %v", err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting a caller: %v", err)
	}
	p := &Process{cmd: cmd, words: words, answers: make(chan string, 16), ended: make(chan struct{})}
	go p.listen(said)
	t.Cleanup(func() { p.Kill(t) })
	first := p.answer(t, "join")
	word, rest, _ := strings.Cut(first, " ")
	if word != joinedWord {
		return nil, fmt.Errorf("a caller could not join: %s", first)
	}
	p.identity, _, _ = strings.Cut(rest, " ")
	return p, nil
}

// listen takes what the process says until it has ended.
func (p *Process) listen(said io.Reader) {
	defer close(p.ended)
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if reason, gone := strings.CutPrefix(lines.Text(), goneWord+" "); gone {
			p.reason = reason
			continue
		}
		if sid, in := strings.CutPrefix(lines.Text(), inWord+" "); in {
			p.stays.note(sid, time.Now())
			continue
		}
		p.answers <- lines.Text()
	}
	_ = p.cmd.Wait() // It may have been killed, which is an error.
}

// Identity is what the room knows the caller as.
func (p *Process) Identity() string { return p.identity }

// Stays returns when it was in the room, by its client's own word.
func (p *Process) Stays() []Stay { return p.stays.all() }

// Publish publishes audio.
func (p *Process) Publish(t testing.TB) {
	t.Helper()
	p.tell(t, sayPublish)
}

// TryPublish is Publish where the stay may end meanwhile.
func (p *Process) TryPublish(t testing.TB) error {
	t.Helper()
	_, err := p.try(t, sayPublish)
	return err
}

// Heard is how many audio packets of others have arrived.
func (p *Process) Heard(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(p.tell(t, sayHeard))
	if err != nil {
		t.Fatalf("asking a caller what it heard: %v", err)
	}
	return n
}

// Migrate asks the server to move the caller to another of its nodes.
func (p *Process) Migrate(t testing.TB) {
	t.Helper()
	_, _ = p.try(t, sayMigrate) // The server may end the stay instead.
}

// Leave hangs up, and returns when the process has ended.
func (p *Process) Leave(t testing.TB) {
	t.Helper()
	p.tell(t, sayLeave)
	if reason := p.Gone(t); reason != "CLIENT_INITIATED" {
		t.Fatalf("a caller who hung up was gone by %s", reason)
	}
}

// TryLeave is Leave where the stay may end by itself meanwhile.
func (p *Process) TryLeave(t testing.TB) {
	t.Helper()
	_, _ = p.try(t, sayLeave) // However it ends.
	p.Gone(t)
}

// Gone waits until the server, or Leave, has ended the stay, and returns LiveKit's reason.
func (p *Process) Gone(t testing.TB) string {
	t.Helper()
	select {
	case <-p.ended:
		return p.reason
	case <-time.After(answerPatience):
		t.Fatalf("%s is still in the call", p.identity)
		return ""
	}
}

// Kill ends the process as a crash or an empty battery does: the server is told nothing. It may be called again.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	<-p.ended
}

// Freeze stops the process where it is, until Thaw.
func (p *Process) Freeze(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
}

// Thaw lets a frozen process go on.
func (p *Process) Thaw(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGCONT)
}

func (p *Process) signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("sending %s to a caller: %v", signal, err)
	}
}

// Over says whether the stay has ended.
func (p *Process) Over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// tell has the process do something, and returns what it answers.
func (p *Process) tell(t testing.TB, word string) string {
	t.Helper()
	answer, err := p.try(t, word)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// try is tell where the stay may end meanwhile.
func (p *Process) try(t testing.TB, word string) (string, error) {
	t.Helper()
	if _, err := io.WriteString(p.words, word+"\n"); err != nil {
		return "", fmt.Errorf("telling a caller to %s: %w", word, err)
	}
	answer := p.answer(t, word)
	if strings.HasPrefix(answer, failedWord) {
		return "", fmt.Errorf("telling a caller to %s: %s", word, answer)
	}
	return answer, nil
}

func (p *Process) answer(t testing.TB, word string) string {
	t.Helper()
	select {
	case answer := <-p.answers:
		return answer
	case <-p.ended:
		select {
		case answer := <-p.answers: // said with its last breath
			return answer
		default:
			return failedWord + " it has ended: " + p.reason
		}
	case <-time.After(answerPatience):
		return failedWord + " no answer to " + word
	}
}
