package deadcommand

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/callplane/callplane/libs/rabbitmq"
)

// parked is the JSON form of a message without its body.
type parked struct {
	ID        string     `json:"id"`
	Reason    string     `json:"reason"`
	Detail    string     `json:"detail"`
	Type      string     `json:"type"`
	SessionID string     `json:"sessionId"`
	Sender    string     `json:"sender"`
	Queue     string     `json:"queue"`
	ParkedAt  *time.Time `json:"parkedAt"` // null where it is not known
	Requeues  int        `json:"requeues"`
}

// page is the JSON form of a list.
type page struct {
	Items []parked `json:"items"`
	More  int      `json:"more"` // how many there are beside these
}

// whole is the JSON form of a message with everything.
type whole struct {
	parked
	Headers    map[string]any `json:"headers"`
	Body       *string        `json:"body,omitempty"`
	BodyBase64 []byte         `json:"bodyBase64,omitempty"` // where it isn't UTF-8
}

func parkedOf(m rabbitmq.ParkedMessage) parked {
	p := parked{
		ID: m.ID, Reason: m.Reason, Detail: m.Detail, Type: m.Type, SessionID: m.Session, Sender: m.Sender, Queue: m.Queue, Requeues: m.Requeues,
	}
	if !m.ParkedAt.IsZero() {
		at := m.ParkedAt.UTC()
		p.ParkedAt = &at
	}
	return p
}

func listOf(messages []rabbitmq.ParkedMessage, more int) page {
	p := page{Items: make([]parked, len(messages)), More: more}
	for i, m := range messages {
		p.Items[i] = parkedOf(m)
	}
	return p
}

func wholeOf(m rabbitmq.ParkedMessage) whole {
	w := whole{parked: parkedOf(m), Headers: m.Headers}
	if utf8.Valid(m.Body) {
		text := string(m.Body)
		w.Body = &text
	} else {
		w.BodyBase64 = m.Body
	}
	return w
}

func writeJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

func writeTable(out io.Writer, messages []rabbitmq.ParkedMessage, more int) error {
	if len(messages) == 0 {
		_, err := fmt.Fprintln(out, "nothing is parked")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tREASON\tTYPE\tSESSION\tPARKED AT\tSENDER\tREQUEUES") // Flush tells of an error.
	for _, m := range messages {
		cells := []string{m.ID, m.Reason, m.Type, m.Session, when(m.ParkedAt), m.Sender, strconv.Itoa(m.Requeues)}
		for i, cell := range cells {
			cells[i] = plain(cell)
		}
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write the list: %w", err)
	}
	if more > 0 {
		_, err := fmt.Fprintf(out, "and %d more\n", more)
		return err
	}
	return nil
}

func writeWhole(out io.Writer, m rabbitmq.ParkedMessage) error {
	var text strings.Builder
	line := func(name, value string) { fmt.Fprintf(&text, "%-10s %s\n", name, plain(value)) }
	line("id", m.ID)
	line("reason", m.Reason)
	line("detail", m.Detail)
	line("type", m.Type)
	line("session", m.Session)
	line("sender", m.Sender)
	line("queue", m.Queue)
	line("parked at", when(m.ParkedAt))
	line("requeues", strconv.Itoa(m.Requeues))
	text.WriteString("headers\n")
	names := make([]string, 0, len(m.Headers))
	for name := range m.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&text, "  %s: %s\n", plain(name), plain(fmt.Sprint(m.Headers[name])))
	}
	fmt.Fprintf(&text, "body, %d bytes\n%s\n\n", len(m.Body), plain(string(m.Body)))
	_, err := io.WriteString(out, text.String())
	return err
}

func when(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// plain is a text as a terminal may show it: a message may hold anything, also what a terminal takes for orders. Nothing is shown as "-".
func plain(s string) string {
	switch {
	case s == "":
		return "-"
	case strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }):
		return strconv.Quote(s)
	}
	return s
}
