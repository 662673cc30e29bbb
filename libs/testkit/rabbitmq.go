package testkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Broker is a RabbitMQ server with the repository's plugins, configuration, users and permissions. Its Container is nil where
// TEST_RABBITMQ_URL names the server.
type Broker struct {
	*Container
	Management  *Management
	address     string // host:port of AMQP
	definitions definitions
}

// definitions are deployments/rabbitmq/definitions.json, as far as a further virtual host needs them.
type definitions struct {
	Users []struct {
		Name     string   `json:"name"`
		Password string   `json:"password"`
		Tags     []string `json:"tags"`
	} `json:"users"`
	Permissions      []permission `json:"permissions"`
	TopicPermissions []permission `json:"topic_permissions"`
}

// permission is one of a user in a virtual host, or with an exchange one on its topics.
type permission struct {
	User      string `json:"user"`
	Vhost     string `json:"vhost"`
	Exchange  string `json:"exchange,omitempty"`
	Configure string `json:"configure"`
	Write     string `json:"write"`
	Read      string `json:"read"`
}

var sharedBroker struct {
	once   sync.Once
	broker *Broker
	err    error
}

// Rabbit returns the broker that the tests of this binary share.
func Rabbit(t testing.TB) *Broker {
	t.Helper()
	needMain(t)
	sharedBroker.once.Do(func() {
		sharedBroker.broker, sharedBroker.err = externalBroker()
		if sharedBroker.broker != nil || sharedBroker.err != nil {
			return
		}
		sharedBroker.broker, sharedBroker.err = startBroker(context.Background())
		if sharedBroker.err == nil {
			shared.keep(sharedBroker.broker.Container)
		}
	})
	if sharedBroker.err != nil {
		t.Fatalf("testkit: RabbitMQ: %v", sharedBroker.err)
	}
	return sharedBroker.broker
}

// OwnRabbit starts a broker for this test alone, which may stop, kill or pause it.
func OwnRabbit(t testing.TB) *Broker {
	t.Helper()
	return ownRabbit(t)
}

// OwnRabbitOn is OwnRabbit with the data on a disk of at least 256 MiB. Like all disks it can be full, which the broker sees coming: it takes
// nothing more when 50 MB are left.
func OwnRabbitOn(t testing.TB, disk *Disk) *Broker {
	t.Helper()
	return ownRabbit(t, func(s *spec) {
		s.mounts = append(s.mounts, disk.at("/var/lib/rabbitmq"))
	})
}

func ownRabbit(t testing.TB, change ...func(*spec)) *Broker {
	t.Helper()
	needMain(t)
	broker, err := startBroker(t.Context(), change...)
	if err != nil {
		t.Fatalf("testkit: RabbitMQ: %v", err)
	}
	broker.own(t)
	return broker
}

// startBroker starts a container with the files of deployments/rabbitmq where compose mounts them.
func startBroker(ctx context.Context, change ...func(*spec)) (*Broker, error) {
	pins, err := readEnvFile(filepath.Join(Root(), "deployments", "versions.env"))
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, name := range []string{"definitions.json", "rabbitmq.conf", "enabled_plugins"} {
		if files["/etc/rabbitmq/"+name], err = render("rabbitmq/"+name, generated.get); err != nil {
			return nil, err
		}
	}
	amqp, errAMQP := freePort()
	management, errManagement := freePort()
	if err := errors.Join(errAMQP, errManagement); err != nil {
		return nil, err
	}
	broker, err := newBroker(fmt.Sprintf("127.0.0.1:%d", amqp), fmt.Sprintf("http://127.0.0.1:%d", management), generated.get)
	if err != nil {
		return nil, err
	}
	start := spec{
		image: pins["RABBITMQ_IMAGE"],
		files: files,
		ports: map[string]int{"5672/tcp": amqp, "15672/tcp": management},
		ready: broker.ping,
	}
	for _, c := range change {
		c(&start)
	}
	broker.Container, err = run(ctx, start)
	return broker, err
}

// newBroker returns a broker that is reached at these addresses, as the administrator of the definitions.
func newBroker(address, management string, secret lookup) (*Broker, error) {
	text, err := render("rabbitmq/definitions.json", secret)
	if err != nil {
		return nil, err
	}
	broker := &Broker{address: address}
	if err := json.Unmarshal([]byte(text), &broker.definitions); err != nil {
		return nil, fmt.Errorf("read deployments/rabbitmq/definitions.json: %w", err)
	}
	for _, user := range broker.definitions.Users {
		for _, tag := range user.Tags {
			if tag == "administrator" {
				broker.Management = &Management{base: management, user: user.Name, password: user.Password}
			}
		}
	}
	if broker.Management == nil {
		return nil, errors.New("deployments/rabbitmq/definitions.json has no administrator")
	}
	return broker, nil
}

// externalBroker returns the broker of TEST_RABBITMQ_URL, which must have the users of the definitions; nil where it is not set.
func externalBroker() (*Broker, error) {
	setting, management := os.Getenv("TEST_RABBITMQ_URL"), os.Getenv("TEST_RABBITMQ_MANAGEMENT_URL")
	if setting == "" {
		return nil, nil //nolint:nilnil // None is asked for.
	}
	amqp, err := url.Parse(setting)
	if err != nil || amqp.Host == "" || management == "" {
		return nil, errors.New("TEST_RABBITMQ_URL must be a URL such as amqp://127.0.0.1:5672, and TEST_RABBITMQ_MANAGEMENT_URL one such as http://127.0.0.1:15672")
	}
	broker, err := newBroker(amqp.Host, management, existing)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := broker.ping(ctx); err != nil {
		return nil, fmt.Errorf("the broker of TEST_RABBITMQ_URL: %w", err)
	}
	return broker, nil
}

// ping fails until AMQP is listened for.
func (b *Broker) ping(ctx context.Context) error {
	if b.Container == nil && os.Getenv("TEST_RABBITMQ_URL") != "" {
		return b.Management.Do(ctx, http.MethodGet, "/api/overview", nil, nil)
	}
	return b.Management.Do(ctx, http.MethodGet, "/api/health/checks/port-listener/5672", nil, nil)
}

// URL returns the AMQP URL of a user of the definitions for a virtual host. An unknown user fails the test.
func (b *Broker) URL(t testing.TB, user, vhost string) string {
	t.Helper()
	for _, known := range b.definitions.Users {
		if known.Name == user {
			u := url.URL{Scheme: "amqp", User: url.UserPassword(known.Name, known.Password), Host: b.address}
			return u.String() + "/" + url.PathEscape(vhost)
		}
	}
	t.Fatalf("testkit: deployments/rabbitmq/definitions.json has no user %s", user)
	return ""
}

// Vhost is a virtual host that belongs to one test.
type Vhost struct {
	Name   string
	Broker *Broker
	t      testing.TB
}

var vhosts struct {
	sync.Mutex
	count int
}

// Vhost makes an empty virtual host for this test, in which every user may do what the definitions let them do in "/".
func (b *Broker) Vhost(t testing.TB) *Vhost {
	t.Helper()
	vhosts.Lock()
	vhosts.count++
	name := "test-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(vhosts.count) + "-" + random(3)
	vhosts.Unlock()
	path := "/api/vhosts/" + url.PathEscape(name)
	b.Management.must(t, http.MethodPut, path, map[string]string{"default_queue_type": "classic"}, nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		var status *StatusError
		// A container of its own may be stopped by now, and is removed anyway; an answer is an error to know of.
		if err := b.Management.Do(ctx, http.MethodDelete, path, nil, nil); errors.As(err, &status) {
			t.Errorf("testkit: %v", err)
		}
	})
	for _, p := range b.definitions.Permissions {
		b.Management.must(t, http.MethodPut, "/api/permissions/"+url.PathEscape(name)+"/"+url.PathEscape(p.User), p, nil)
	}
	for _, p := range b.definitions.TopicPermissions {
		b.Management.must(t, http.MethodPut, "/api/topic-permissions/"+url.PathEscape(name)+"/"+url.PathEscape(p.User), p, nil)
	}
	return &Vhost{Name: name, Broker: b, t: t}
}

// URL returns the AMQP URL of a user, such as "sessions", "bridge" or "admin", for this virtual host.
func (v *Vhost) URL(user string) string {
	v.t.Helper()
	return v.Broker.URL(v.t, user, v.Name)
}
