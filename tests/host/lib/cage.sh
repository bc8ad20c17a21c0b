# A cage is a cgroup and a mount namespace for one command and all its children. They can always be found and killed,
# and their mounts end with them.
# shellcheck shell=bash

: "${cache:?}" "${hosts:?}"

# Prints the cgroup's name. It contains a digest of the directory, because two checkouts may use the same machine name.
# The cages of a build are named build.JOB, which no machine can be.
cage_unit() {
	local home=$hosts
	[[ $1 != build.* ]] || home=$cache
	printf 'nexus-test-%s-%s' "$(printf '%s' "$home" | sha256sum | cut -c1-8)" "$1"
}

cage_path() {
	local root
	root=$(findmnt -rnt cgroup2 -o TARGET | head -n 1)
	[[ $root ]] || die "no cgroup v2 is mounted here: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified, and try again"
	if [[ -d /run/systemd/system ]]; then
		printf '%s/machine.slice/%s.scope' "$root" "$(cage_unit "$1")"
	else
		printf '%s/%s' "$root" "$(cage_unit "$1")"
	fi
}

# cage_exec NAME COMMAND...: executes COMMAND in a cage. If systemd is PID 1, it must create the cgroup.
cage_exec() {
	local name=$1 path
	shift
	if [[ -d /run/systemd/system ]]; then
		exec systemd-run --quiet --scope --collect --slice=machine.slice --unit="$(cage_unit "$name")" \
			--property=Delegate=yes -- unshare --mount -- "$@"
	fi
	path=$(cage_path "$name")
	mkdir -p "$path"
	echo "$BASHPID" >"$path/cgroup.procs"
	exec unshare --mount -- "$@"
}

cage_is_alive() {
	local events
	events=$(cat "$(cage_path "$1")/cgroup.events" 2>/dev/null) && [[ $events == *'populated 1'* ]]
}

cage_is_empty() { ! cage_is_alive "$1"; }

# cage_kill NAME: sends SIGKILL to every process in it at once, and removes the cgroup.
cage_kill() {
	local path
	path=$(cage_path "$1")
	if cage_is_alive "$1"; then
		# The cgroup may vanish before the write; the check below decides.
		echo 1 2>/dev/null >"$path/cgroup.kill" || true
		await 30 cage_is_empty "$1" ||
			die "processes in $path outlive SIGKILL (a stuck disk?): see them with 'systemd-cgls $path', and try again"
	fi
	await 10 cage_is_removed "$1" || die "cannot remove $path: something just started in it; try again"
}

# Whether the cgroup is gone, and systemd has noticed. Until then systemd would refuse the name.
cage_is_removed() {
	local unit path
	unit=$(cage_unit "$1")
	if [[ -d /run/systemd/system ]]; then
		if systemctl --quiet is-active "$unit.scope"; then systemctl --quiet stop "$unit.scope"; fi
		path=$(cage_path "$1")
		[[ ! -d $path ]]
	else
		# If cgroup v1 is mounted too, nspawn makes one of the same name there.
		for path in $(findmnt -rnt cgroup,cgroup2 -o TARGET); do
			if [[ -d $path/$unit ]]; then find "$path/$unit" -depth -type d -exec rmdir {} + || return 1; fi
		done 2>/dev/null
	fi
}
