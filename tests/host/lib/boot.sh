# Boots a root directory with systemd-nspawn, and waits until it is up.
# shellcheck shell=bash

# boot NAME ROOT LOG [NSPAWN OPTION...]: starts it in the background, in a cage of that name.
# --register=no --keep-unit: neither machined nor the host's systemd is needed.
# @keyring and bpf are what Docker needs beyond nspawn's own list of system calls.
boot() {
	local name=$1 root=$2 log=$3 launcher
	shift 3
	cage_kill "$name"
	(cage_exec "$name" setsid bash -c '
		# nspawn needs a tmpfs here; no other process sees this one
		mkdir -p /run/systemd/nspawn && mount -t tmpfs tmpfs /run/systemd/nspawn &&
		exec env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=1 systemd-nspawn "$@"' nspawn \
		--directory="$root" --machine="$name" --hostname="$name" --boot --register=no --keep-unit --console=pipe \
		--settings=no --private-network --capability=all --system-call-filter='@keyring bpf' \
		--resolv-conf=off --timezone=off --link-journal=no "$@") </dev/null >"$log" 2>&1 8>&- 9>&- &
	launcher=$!
	disown "$launcher"
	await 10 has_begun "$name" "$launcher" ||
		die "'$name' does not start: systemd-nspawn did not run within 10 seconds; its output is in $log"
}

has_begun() { cage_is_alive "$1" || ! kill -0 "$2" 2>/dev/null; }

# leader_of NAME: prints the host's PID of the machine's PID 1.
leader_of() {
	local path pid status
	path=$(cage_path "$1")/payload
	# It is in the first cgroup once it has started, in the second one before. Either may vanish at any moment.
	# shellcheck disable=SC2013 # a line is one PID
	for pid in $(cat "$path/init.scope/cgroup.procs" "$path/cgroup.procs" 2>/dev/null); do
		status=$(cat "/proc/$pid/status" 2>/dev/null) || continue
		[[ $status =~ NSpid:[[:space:]]+${pid}[[:space:]]+1$'\n' ]] && echo "$pid" && return 0
	done
	return 1
}

# await_up NAME LOG: waits until its systemd has finished starting and Docker answers.
await_up() {
	local name=$1 log=$2 state
	await 120 has_settled "$name" || {
		show_console "$log"
		die "'$name' did not finish booting in 2 minutes; its console is above and in $log; try 'machine exec $name -- systemctl list-jobs', or 'machine down $name'"
	}
	cage_is_alive "$name" || {
		show_console "$log"
		die "'$name' ended while it was booting; its console is above and in $log; 'machine down $name' removes it"
	}
	state=$(inside "$name" timeout 10 systemctl is-system-running) || true
	if [[ $state == degraded ]]; then
		say "'$name' is up, but degraded; failed units: $(inside "$name" \
			systemctl list-units --failed --plain --no-legend | cut -d' ' -f1 | paste -sd' ')"
	fi
	await 30 docker_answers "$name" || {
		inside "$name" journalctl --boot --unit=docker --lines=15 --no-pager --output=cat >&2 || true
		die "'$name' is up, but its Docker does not answer; its last messages are above; see 'machine exec $name -- journalctl -u docker'"
	}
}

# Whether the machine is up, or dead.
has_settled() {
	local state
	cage_is_alive "$1" || return 0
	state=$(inside "$1" timeout 10 systemctl is-system-running 2>/dev/null) || true
	[[ $state == running || $state == degraded ]]
}

docker_answers() { inside "$1" timeout 10 docker info >/dev/null 2>&1; }

show_console() { tail -n 20 "$1" >&2; }
