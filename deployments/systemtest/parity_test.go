package systemtest

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/modfile"

	"github.com/callplane/callplane/libs/testkit"
)

// pins is deployments/versions.env.
func pins(t *testing.T) map[string]string {
	t.Helper()
	text := read(t, "deployments/versions.env")
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			all[name] = value
		}
	}
	for _, name := range []string{
		"GO_VERSION", "GO_IMAGE", "POSTGRES_IMAGE", "RABBITMQ_IMAGE", "LIVEKIT_IMAGE", "REDIS_IMAGE", "NGINX_IMAGE", "COMPOSE_VERSION",
		"GOLANGCI_LINT_VERSION", "NODE_VERSION", "POSTGRES_MIN", "RABBITMQ_MIN",
	} {
		require.NotEmpty(t, all[name], "versions.env doesn't pin %s", name)
	}
	return all
}

// read gives the text of a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.Root(), path))
	require.NoError(t, err)
	return string(text)
}

// files lists the repository's own files: what is neither git's, nor made here, nor binary.
func files(t *testing.T) []string {
	t.Helper()
	var all []string
	root := testkit.Root()
	skipped := []string{".git", ".run", ".tools", "bin", "node_modules", "testdata"}
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains(skipped, entry.Name()) {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() && entry.Name() != ".env" {
			relative, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			all = append(all, filepath.ToSlash(relative))
		}
		return nil
	}))
	require.NotEmpty(t, all)
	return all
}

// modules lists the folders with a go.mod.
func modules(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, file := range files(t) {
		if filepath.Base(file) == "go.mod" {
			all = append(all, filepath.Dir(file))
		}
	}
	const known = 6 // two libraries, two services, the system tests, the example
	require.Len(t, all, known)
	return all
}

// TestGoIsThePinned holds the language version of the workspace and of every module against the pin, and each module against the workspace.
func TestGoIsThePinned(t *testing.T) {
	t.Parallel()
	version := pins(t)["GO_VERSION"]
	work, err := modfile.ParseWork("go.work", []byte(read(t, "go.work")), nil)
	require.NoError(t, err)
	require.Equal(t, version, work.Go.Version, "go.work")
	require.Nil(t, work.Toolchain, "the go line says it")
	var used []string
	for _, use := range work.Use {
		used = append(used, filepath.Clean(use.Path))
	}
	require.ElementsMatch(t, modules(t), used)
	for _, module := range modules(t) {
		mod, err := modfile.Parse("go.mod", []byte(read(t, filepath.Join(module, "go.mod"))), nil)
		require.NoError(t, err)
		require.Equal(t, version, mod.Go.Version, module)
		require.Nil(t, mod.Toolchain, module)
		for _, replace := range mod.Replace {
			require.True(t, strings.HasPrefix(replace.New.Path, "../"), "%s replaces %s by something else than a sibling", module, replace.Old.Path)
		}
	}
	require.True(t, strings.HasPrefix(pins(t)["GO_IMAGE"], "golang:"+version), "GO_IMAGE is another Go than GO_VERSION")
}

// TestComposeRunsThePins holds every image and build argument of docker-compose.yml against the pins: by name, and with no other default.
func TestComposeRunsThePins(t *testing.T) {
	t.Parallel()
	var compose struct {
		Services map[string]struct {
			Image string
			Build struct{ Args map[string]string }
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "docker-compose.yml")), &compose))
	images := map[string]string{"postgres": "POSTGRES_IMAGE", "rabbitmq": "RABBITMQ_IMAGE", "livekit": "LIVEKIT_IMAGE"}
	for service, name := range images {
		require.Regexp(t, `^\$\{`+name+`(:\?[^}]*)?\}$`, compose.Services[service].Image, service)
	}
	for _, service := range []string{"sessions", "bridge"} {
		require.Regexp(t, `^\$\{GO_IMAGE(:\?[^}]*)?\}$`, compose.Services[service].Build.Args["GO_IMAGE"], service)
	}
	require.Regexp(t, `^\$\{NGINX_IMAGE(:\?[^}]*)?\}$`, compose.Services["web"].Build.Args["NGINX_IMAGE"])
	require.Len(t, compose.Services, 6)
}

// TestDockerfilesBuildOnThePins lets a Dockerfile build on nothing but an argument without default, a stage of its own or scratch.
func TestDockerfilesBuildOnThePins(t *testing.T) {
	t.Parallel()
	from := regexp.MustCompile(`(?mi)^FROM\s+(?:--\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?`)
	argument := regexp.MustCompile(`(?m)^ARG\s+([A-Z_]+)\s*$`)
	found := 0
	for _, file := range files(t) {
		if name := filepath.Base(file); name != "Dockerfile" && !strings.HasSuffix(name, ".Dockerfile") {
			continue
		}
		found++
		text := read(t, file)
		allowed := []string{"scratch"}
		for _, match := range argument.FindAllStringSubmatch(text, -1) {
			allowed = append(allowed, "${"+match[1]+"}", "$"+match[1])
		}
		stages := from.FindAllStringSubmatch(text, -1)
		require.NotEmpty(t, stages, file)
		for _, stage := range stages {
			require.Contains(t, allowed, stage[1], file)
			allowed = append(allowed, stage[2])
		}
	}
	require.GreaterOrEqual(t, found, 2)
}

// TestNodeIsThePinned holds the Node that npm brings for each machine, and the types that it is compiled with, against the pin.
func TestNodeIsThePinned(t *testing.T) {
	t.Parallel()
	version := pins(t)["NODE_VERSION"]
	var toolchain, client struct {
		DevDependencies, OptionalDependencies map[string]string
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, "contracts/typescript/toolchain/package.json")), &toolchain))
	require.NoError(t, json.Unmarshal([]byte(read(t, "contracts/typescript/package.json")), &client))
	require.NotEmpty(t, toolchain.OptionalDependencies)
	var lock struct {
		Packages map[string]struct{ Version, Resolved, Integrity string }
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, "contracts/typescript/package-lock.json")), &lock))
	for name, pinned := range toolchain.OptionalDependencies {
		require.Equal(t, version, pinned, name)
		require.Equal(t, version, lock.Packages["node_modules/"+name].Version, name)
		require.NotEmpty(t, lock.Packages["node_modules/"+name].Integrity, name)
	}
	major := func(v string) string { return strings.SplitN(v, ".", 2)[0] }
	require.Equal(t, major(version), major(client.DevDependencies["@types/node"]), "@types/node is of another Node")
	for name, pinned := range client.DevDependencies {
		require.Regexp(t, `^\d+\.\d+\.\d+$`, pinned, "%s is not pinned", name)
	}
	for name, locked := range lock.Packages {
		require.NotContains(t, locked.Resolved, "://", "%s: the lock file names a registry", name)
	}
}

// TestWorkflowReadsThePins keeps versions out of the workflow.
func TestWorkflowReadsThePins(t *testing.T) {
	t.Parallel()
	text := read(t, ".github/workflows/ci.yml")
	require.Contains(t, text, "deployments/versions.env")
	require.Contains(t, text, ".ci/run")
	require.NotRegexp(t, `go-version:\s*['"]?\d`, text)
	require.NotRegexp(t, `image:\s*\S+:\d`, text)
}

// TestNothingRepeatsAPin finds versions that are written down elsewhere: an image with a tag that is not the pinned one, and a pinned
// version number outside the one file. The own files of Go modules and npm packages, and what is generated from them, are held by other tests;
// what benchmarks measured stays as it was measured.
func TestNothingRepeatsAPin(t *testing.T) {
	t.Parallel()
	all := pins(t)
	tagged := regexp.MustCompile(`\b(postgres|rabbitmq|golang|nginx|redis|livekit/livekit-server):(v?\d[\w.-]*)`)
	port := regexp.MustCompile(`^\d{4,5}$`)
	literals := map[string]string{}
	for _, name := range []string{"GO_VERSION", "COMPOSE_VERSION", "GOLANGCI_LINT_VERSION", "NODE_VERSION"} {
		literals[all[name]] = name
	}
	for _, file := range files(t) {
		base := filepath.Base(file)
		own := []string{"go.mod", "go.sum", "go.work", "go.work.sum", "package.json", "package-lock.json"}
		measured := strings.HasPrefix(file, "deployments/systemtest/bench/results.") // with what was pinned then
		if file == "deployments/versions.env" || slices.Contains(own, base) || measured {
			continue
		}
		text := []byte(read(t, file))
		if bytes.IndexByte(text, 0) >= 0 {
			continue
		}
		for _, match := range tagged.FindAllStringSubmatch(string(text), -1) {
			if port.MatchString(match[2]) {
				continue
			}
			require.Contains(t, valuesOf(all), match[0], "%s names an image that versions.env doesn't pin", file)
		}
		for literal, name := range literals {
			require.NotContains(t, string(text), literal, "%s repeats %s of versions.env", file, name)
		}
	}
}

// TestReadmeNamesThePins holds what the README says of versions against the pins: as exact as it likes, but never another.
func TestReadmeNamesThePins(t *testing.T) {
	t.Parallel()
	all := pins(t)
	tag := func(name string) string {
		_, after, _ := strings.Cut(all[name], ":")
		return strings.TrimPrefix(after, "v")
	}
	text := read(t, "README.md")
	for product, versions := range map[string][]string{
		"Go":         {all["GO_VERSION"]},
		"PostgreSQL": {tag("POSTGRES_IMAGE"), all["POSTGRES_MIN"]},
		"Postgres":   {tag("POSTGRES_IMAGE"), all["POSTGRES_MIN"]},
		"RabbitMQ":   {tag("RABBITMQ_IMAGE"), all["RABBITMQ_MIN"]},
		"LiveKit":    {tag("LIVEKIT_IMAGE")},
	} {
		for _, match := range regexp.MustCompile(`\b`+product+` v?(\d+(?:\.\d+)*)`).FindAllStringSubmatch(text, -1) {
			ok := slices.ContainsFunc(versions, func(v string) bool {
				return v == match[1] || strings.HasPrefix(v, match[1]+".") || strings.HasPrefix(v, match[1]+"-")
			})
			require.True(t, ok, "README.md says %q; versions.env says %v", match[0], versions)
		}
	}
}

func valuesOf(all map[string]string) []string {
	var values []string
	for _, value := range all {
		values = append(values, value)
	}
	return values
}
