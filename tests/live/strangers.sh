#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Promise: another user of this machine cannot stop NEXUS by holding locks, or make root run that user's programs. Runs inside an
# installed machine.
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/checks.sh"

work=$(mktemp -d)
chmod 0755 "$work"
trap put_back EXIT
put_back() {
	kill "$holder" 2>/dev/null || true
	wait "$holder" || true
	userdel stranger
	rm -rf "$work" /run/lock/nexus-install
}
holder=''

# Locks everything that other users can open in NEXUS's directories.
hold_all_locks() {
	useradd --no-create-home --shell /usr/sbin/nologin stranger
	runuser --user stranger -- python3 - 2>/dev/null >"$work/held" <<-'PYTHON' &
		import fcntl, os, signal
		held, places = [], ["/etc/nexus", "/run/nexus", "/run/nexus-locks", "/run/lock", "/var/lib/nexus", "/usr/local", "/usr/share/nexus"]
		open("/run/lock/nexus-install", "w").close()
		for place in places:
		    paths = [place] + [os.path.join(up, name) for up, down, names in os.walk(place) for name in down + names]
		    for path in paths + ["/run/nexus-locks/setup", "/run/nexus-locks/redis", "/run/nexus-locks/throwaway"]:
		        try:
		            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
		            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
		            held.append(file)
		            print(path, flush=True)
		        except OSError:
		            pass
		print("all", flush=True)
		signal.pause()
	PYTHON
	holder=$!
	await 30 grep -qx all "$work/held"
}

the_stranger_holds_what_it_can() {
	grep -qx /etc/nexus "$work/held"
	grep -q '/nexus-docker$' "$work/held"
	same "locks of NEXUS's that it has" "$(grep -E '^/run/nexus-locks/|^/var/lib/nexus/.*lock$' "$work/held" || true)" ""
}
proofs_go_on() {
	systemctl start nexus-backup.service
	systemctl start nexus-restore-test.service
}
redis_is_healed() {
	sed -i 's/^NEXUS_HEAL=.*/NEXUS_HEAL=on/' /etc/nexus/nexus.env
	systemctl restart nexus-health.service
	docker kill nexus-redis >/dev/null
	await 120 healthy
	sed -i 's/^NEXUS_HEAL=.*/NEXUS_HEAL=off/' /etc/nexus/nexus.env
	systemctl restart nexus-health.service
}
setup_goes_on() { exits 0 "NEXUS runs" nexus-setup --yes; }

# Root runs the scripts in a directory of another user, which is also first on PATH.
roots_scripts_run_nothing_of_the_callers() {
	local trap=$work/trap model=/var/lib/nexus/models/all-MiniLM-L6-v2 name
	install -d --owner=stranger "$trap" "$trap/pip"
	for name in bash sh env dirname readlink realpath sed grep awk docker systemctl mktemp python3 curl flock install chown stat id sudo; do
		install --mode=0755 --owner=stranger /dev/stdin "$trap/$name" <<<$'#!/bin/dash\n'"/bin/touch $work/executed-$name; exit 1"
	done
	for name in pip.py zipfile.py pip/__init__.py pip/__main__.py sitecustomize.py; do
		install --mode=0644 --owner=stranger /dev/stdin "$trap/$name" <<<"open('$work/executed-python', 'w')"
	done
	# shellcheck disable=SC2317 # exits calls it
	in_the_trap() { env --chdir="$trap" PATH=".:$trap:$PATH" PYTHONPATH="$trap" CDPATH="$trap" "$@"; }
	exits 0 "nothing is missing" in_the_trap /usr/local/sbin/nexus-setup --check
	exits 0 "NEXUS runs" in_the_trap /usr/local/sbin/nexus-setup --yes
	exits 64 "no older PostgreSQL" in_the_trap /usr/local/sbin/nexus-upgrade-postgres --back --yes
	exits 64 "there is no option" in_the_trap "$here/../../install.sh" --foo
	# Without a network, both sources of the model are tried.
	if [[ -e $model ]]; then mv "$model" "$work/model"; fi
	exits 69 "could not be fetched" in_the_trap /usr/local/sbin/nexus-setup --yes --model download
	if [[ -e $work/model ]]; then mv "$work/model" "$model"; fi
	same "executed code" "$(find "$work" -maxdepth 1 -name 'executed-*' -printf '%f\n' | sort | paste -sd' ')" ""
}
# Relative paths on the command line still start at the caller's directory.
paths_begin_where_the_caller_is() {
	install -d "$work/home/model"
	exits 65 "has no config.json" env --chdir="$work/home" nexus-setup --yes --model model
	exits 64 "there is no such folder" env --chdir="$work" nexus-setup --yes --model model.other
}

here=$(cd "$here" && pwd)
hold_all_locks
check the_stranger_holds_what_it_can
check proofs_go_on
check redis_is_healed
check setup_goes_on
check roots_scripts_run_nothing_of_the_callers
check paths_begin_where_the_caller_is
report
