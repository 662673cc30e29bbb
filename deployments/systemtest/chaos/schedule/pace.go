package schedule

import "time"

// mostLate is how late a step may be before all later ones are postponed.
const mostLate = 5 * time.Second

// Pace says when steps are due on a machine on which some of them take long: later ones are
// postponed, so that faults keep their distance and their length. Faults that would then begin
// after the end of the run are left out.
type Pace struct {
	began     time.Time
	length    time.Duration
	postponed time.Duration
	begun     map[Fault]bool
}

// NewPace returns the pace of a run that begins now and lasts so long.
func NewPace(now time.Time, length time.Duration) *Pace {
	return &Pace{began: now, length: length, begun: map[Fault]bool{}}
}

// Due returns when the next step is due, and false where it is left out. The steps are to be given
// in their order, each when the one before it is done.
func (p *Pace) Due(step Step, now time.Time) (time.Time, bool) {
	due := p.began.Add(step.At + p.postponed)
	if late := now.Sub(due); late > mostLate {
		p.postponed += late - mostLate
		due = due.Add(late - mostLate)
	}
	if step.End {
		return due, p.begun[step.Fault]
	}
	if due.After(p.began.Add(p.length)) {
		return due, false
	}
	p.begun[step.Fault] = true
	return due, true
}
