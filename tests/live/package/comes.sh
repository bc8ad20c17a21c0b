# Tests apt, nexus-setup, and the first proof.
# shellcheck shell=bash disable=SC2154 # here, work, deb and began are those of tests/live/package.sh

apt_now() { DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet "$@" >"$work/apt" 2>&1 || { tail -n 15 "$work/apt" >&2 && return 1; }; }

# apt_said WORDS: fails unless apt's output contains them.
apt_said() { grep -qF -- "$1" "$work/apt" || { printf 'apt has not said "%s" but: %s\n' "$1" "$(tail -n 12 "$work/apt" | paste -sd'|')" >&2 && return 1; }; }

comes_with_apt() {
	apt_now install "$deb"
	apt_said 'Set it up and start it with: sudo nexus-setup'
	same "enabled units" "$(systemctl list-unit-files --no-legend 'nexus*' | awk '$2 == "enabled"')" ""
	same "units that run" "$(systemctl list-units --no-legend 'nexus*')" ""
	# systemd-tmpfiles creates /etc/nexus, with only a directory for certificates.
	same "files in /etc/nexus" "$(find /etc/nexus -type f)" ""
	same "files that dpkg does not know" "$(find /usr /etc -xdev \( -path /usr/local -o -path /etc/nexus \) -prune -o -iname '*nexus*' -exec dpkg --search {} + 2>&1 | grep 'no path found' || true)" ""
	fails "an owner must be chosen" nexus-setup --yes
	same "changed files of the package" "$(dpkg --verify nexus)" ""
}

# Types the end of the owner's key, once wrong.
set_up_with_few_answers() {
	local answers
	python3 -B "$here/answer.py" /usr/sbin/nexus-setup --model none >"$work/screen"
	# An answer follows the colon or bracket of its question.
	answers=$(grep -cE '\(or q to stop\): .|\[y/N\] .' "$work/screen")
	echo "   answers typed: $answers, of which one was wrong on purpose" >&3
	((answers - 1 <= 3))
	healthy
	same "the version set up" "$(cat /var/lib/nexus/installed/version)" "$(dpkg-query --show --showformat='${Version}' nexus)"
}

first_set_is_proven() {
	systemctl start nexus-restore-test
	nexus-restore list --json | jq --exit-status '[.. | objects | select(has("proven"))] | length == 1 and all(.proven)' >/dev/null ||
		{ nexus-restore list >&2 && return 1; }
	echo "   from apt to a proven backup: $((SECONDS - began)) s" >&3
}

# systemd-analyze verify prints nothing about the package's units, and each page exists. (systemd before 257 reports
# PrivateUsers=identity as unknown, and ignores it.)
units_are_verified() {
	local unit said=''
	for unit in /usr/lib/systemd/system/nexus*; do said+=$(systemd-analyze verify --man=no "$(basename "${unit/@./@x.}")" 2>&1)$'\n'; done
	same "the output of systemd-analyze verify" "$(grep -v 'Failed to parse boolean value, ignoring: identity$' <<<"$said" | grep . | sort -u)" ""
	same "paths of the other way" "$(grep -rlF /usr/local/share/nexus /usr/lib/systemd/system /usr/share/man /usr/share/nexus /usr/sbin/nexus-* 2>/dev/null || true)" ""
	test -s /usr/share/man/man8/nexus-backup.8.gz
}

setup_again_changes_nothing() {
	local before started
	before=$(find /etc -path '*nexus*' -type f | sort | xargs -d '\n' sha256sum)
	started=$(docker inspect --format '{{.State.StartedAt}}' nexus-postgres nexus-redis)
	nexus-setup --yes --model none >/dev/null
	same "files" "$(find /etc -path '*nexus*' -type f | sort | xargs -d '\n' sha256sum)" "$before"
	same "the containers' start" "$(docker inspect --format '{{.State.StartedAt}}' nexus-postgres nexus-redis)" "$started"
	same "sets" "$(find /var/lib/nexus/backups -mindepth 1 -maxdepth 1 -type d | wc -l)" 1
}

wrong_words() {
	local status=0
	nexus-setup --foo 2>/dev/null || status=$?
	same "the exit code of --foo" "$status" 64
	fails "there is no such folder" nexus-setup --model /nowhere
}

install_sh_refuses_beside_the_package() { fails "NEXUS is on this machine as a package" "$here/../../install.sh" --yes --bin-dir "$here/../../bin"; }

is_reloading() { [[ $(systemctl show --property=ActiveState --value "$1") == reloading ]]; }

# After a signal, setup says where it stopped, no unit stays stopped, and a second run succeeds. The reload that setup waits for is
# delayed until the signal has been sent.
signals_are_an_end() {
	local signal setup status held=/run/nexus-test-held drop_in=/run/systemd/system/nexus-stack.service.d/test.conf
	mkfifo "$held"
	install -D --mode=644 /dev/stdin "$drop_in" <<<$'[Service]\nExecReload=sh -c \'read -r _ <'"$held'"
	for signal in HUP TERM; do
		nexus-setup --yes >"$work/signal" 2>&1 &
		setup=$!
		await 60 is_reloading nexus-stack
		kill -"$signal" "$setup"
		echo go >"$held"
		status=0
		wait "$setup" || status=$?
		same "the exit code after SIG$signal" "$status" $((128 + $(kill -l "$signal")))
		grep -q 'stopped while starting the servers' "$work/signal"
		await 30 flock --nonblock /run/nexus-locks/setup true
		same "enabled units that do not run" "$(systemctl is-active nexus.target nexus-stack nexus-health nexus-backup.timer nexus-api.socket | sort -u)" active
		healthy
	done
	rm -r "$held" "${drop_in%/*}"
	nexus-setup --yes >/dev/null
}
