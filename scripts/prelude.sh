# Sourced by the other scripts: where the project is, what is pinned, and how progress is told.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
run_dir=$root/.run
mkdir -p "$run_dir"

set -a
# shellcheck source=/dev/null
. "$root/deployments/versions.env"
set +a

# say TEXT...: one line of progress.
say() { printf '==> %s\n' "$*"; }

# warn TEXT...: something that works, but not as it was meant to.
warn() { printf 'warning: %s\n' "$*" >&2; }

# fail TEXT...: the end of the script, with what the user can do about it.
fail() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# have COMMAND: whether the command can be run.
have() { command -v "$1" >/dev/null 2>&1; }

# can_apt: whether this user may install Debian packages.
can_apt() { [ "$(id -u)" = 0 ] && have apt-get; }

# apt_install PACKAGE...: installs Debian packages, waiting for another apt that runs; the log is shown only where it fails.
apt_install() {
	local log
	log=$(mktemp "$run_dir/apt.XXXXXX")
	if ! {
		apt-get -o DPkg::Lock::Timeout=300 update &&
			DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
	} >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		fail "apt-get could not install: $* (whole log: $log)"
	fi
	rm -f "$log"
}

# await TEXT PID: waits for a background job of this shell, says every ten seconds that it still runs, and returns its status.
await() {
	local what=$1 pid=$2 waited=0
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		waited=$((waited + 1))
		if [ $((waited % 20)) = 0 ]; then say "$what ... $((waited / 2)) s"; fi
	done
	wait "$pid"
}

# with_heartbeat TEXT COMMAND...: runs the command and says that it runs, at its start and every ten seconds.
with_heartbeat() {
	local what=$1
	shift
	say "$what"
	"$@" &
	await "$what" $!
}

# load_env: exports the settings of .env; one that the environment gives wins, so that a port can be changed for one run.
load_env() {
	local line name
	[ -f "$root/.env" ] || fail "there is no .env yet. Run: scripts/env"
	while IFS= read -r line; do
		[[ $line =~ ^([A-Z][A-Z0-9_]*)=(.*)$ ]] || continue
		name=${BASH_REMATCH[1]}
		[ -n "${!name:-}" ] || export "$name=${BASH_REMATCH[2]}"
	done <"$root/.env"
}

# in_engines_container: whether this is a container in which the engine itself runs. Testcontainers takes such a machine for a
# client of an engine outside, and looks for published ports at the wrong address.
in_engines_container() {
	{ [ -e /.dockerenv ] || [ -e /run/.containerenv ]; } && [ -z "${DOCKER_HOST:-}" ] && grep -qsx dockerd /proc/[0-9]*/comm
}

# is_standin IMAGE: whether the image was built here because no registry answers; then Ryuk's image can't be pulled either.
is_standin() { [ "$(docker image inspect --format '{{index .Config.Labels "callplane.standin"}}' "$1" 2>/dev/null)" = true ]; }

# prepare_containers [KEY...]: starts the engine where none answers, gets the images (all, or those of the keys), and exports what tests need to
# start containers of them here.
prepare_containers() {
	"$root/scripts/engine"
	"$root/scripts/images" "$@"
	if is_standin "$POSTGRES_IMAGE"; then export TESTCONTAINERS_RYUK_DISABLED=true; fi
	if in_engines_container; then export TESTCONTAINERS_HOST_OVERRIDE=localhost; fi
}
