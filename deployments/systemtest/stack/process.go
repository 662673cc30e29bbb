package stack

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopPatience is how long a service may take to end after SIGTERM; more than its SHUTDOWN_TIMEOUT.
const stopPatience = 30 * time.Second

// Process is a service as a user runs it: its binary, with settings by environment only. It can be ended and started again.
type Process struct {
	name, binary string
	args         []string
	env          map[string]string
	log          logBuffer

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the current run has ended
}

// NewProcess describes a process; Start runs it. Whoever starts it ends it.
func NewProcess(name, binary string, env map[string]string, args ...string) *Process {
	return &Process{name: name, binary: binary, args: args, env: env}
}

// With describes another process of the same binary: with further settings (an empty one is left out) and its own arguments.
func (p *Process) With(settings map[string]string, args ...string) *Process {
	env := maps.Clone(p.env)
	for name, value := range settings {
		if value == "" {
			delete(env, name)
			continue
		}
		env[name] = value
	}
	return NewProcess(p.name, p.binary, env, args...)
}

// Start runs the process, also again after Stop or Kill.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command(p.binary, p.args...) //nolint:gosec,noctx // Our own build; ended by Stop, Kill or the test's end.
	cmd.Env = environ(p.env)
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	// Should the tests be killed, the kernel ends their services too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", p.name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() { // ends with the process, which the test's end ends
		_ = cmd.Wait() // What it ended with is read from ProcessState.
		close(done)
	}()
}

// Stop asks the process to end (SIGTERM) and gives its exit code.
func (p *Process) Stop(t testing.TB) int {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	return p.Wait(t, stopPatience)
}

// Kill ends the process at once (SIGKILL).
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	p.Wait(t, stopPatience)
}

// Pause has the process stand still where it is (SIGSTOP), until Resume: its connections stay open and it answers nothing.
func (p *Process) Pause(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
}

// Resume lets a paused process go on.
func (p *Process) Resume(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGCONT)
}

// Wait waits until the process has ended by itself and gives its exit code, -1 when a signal ended it.
func (p *Process) Wait(t testing.TB, patience time.Duration) int {
	t.Helper()
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return cmd.ProcessState.ExitCode()
	case <-timer.C:
		t.Fatalf("%s still runs after %s", p.name, patience)
		return -1
	}
}

// Running says whether the process has not ended.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Admin is the host and port of its metrics and profiles.
func (p *Process) Admin() string { return p.env["ADMIN_ADDR"] }

// PID is the number that the process has, or had, in its current run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// Log is everything that the process has written, over all its runs.
func (p *Process) Log() string { return p.log.String() }

func (p *Process) signal(t testing.TB, signal os.Signal) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("sending %s to %s: %v", signal, p.name, err)
	}
}

// End kills what still runs; nothing where nothing does.
func (p *Process) End() {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill() // It may have ended by itself.
	<-done
}

// environ is the environment of a process: what every program needs, and the settings given.
func environ(settings map[string]string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GORACE=halt_on_error=0"}
	for name, value := range settings {
		env = append(env, fmt.Sprintf("%s=%s", name, value))
	}
	slices.Sort(env)
	return env
}

// logBuffer takes what a process writes, from both its outputs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
