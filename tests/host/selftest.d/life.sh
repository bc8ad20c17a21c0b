# Checks a machine's life cycle. A check is a function; if it fails, its output is the reason.
# shellcheck shell=bash

: "${here:?}" "${work:?}" "${NEXUS_TEST_HOSTS:?}"

# exits CODE COMMAND...: whether COMMAND exits with CODE.
exits() {
	local code=0
	"${@:2}" || code=$?
	[[ $code == "$1" ]] || {
		echo "exit code $code, should be $1: ${*:2}"
		return 1
	}
}

# eventually COMMAND...: waits until COMMAND succeeds, two minutes at most, because the disk may be busy.
eventually() {
	local deadline=$((SECONDS + 120))
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || {
			echo "not within two minutes: $*"
			return 1
		}
		sleep 0.05
	done
}

build_says_what_the_images_are() {
	local lines
	lines=$(machine build)
	echo "$lines"
	[[ $lines == 'container images: '*stand-in* && $lines != *$'\n'* ]]
}

two_at_once() {
	machine up left --bind "$work:/mnt/host:ro" &
	local left=$!
	machine up right
	wait "$left"
}

is_running() {
	machine exec "$1" -- systemctl --failed --no-legend
	[[ $(machine exec "$1" -- systemctl is-system-running) == running ]]
}

status_shows_both() {
	local table
	table=$(machine status)
	echo "$table"
	grep -Eq '^left +running +[0-9]+ ' <<<"$table"
	grep -Eq '^right +running' <<<"$table"
	grep -q '^image: /' <<<"$table"
}

streams_pass() {
	[[ $(printf 'a\0b' | machine exec left -- sh -c 'cat; echo error >&2' 2>"$work/stderr" | base64) == $(printf 'a\0b' | base64) ]]
	[[ $(<"$work/stderr") == error ]]
}

environment_is_sane() {
	# shellcheck disable=SC2016 # expanded inside
	[[ $(LEAK=1 machine exec left -- sh -c 'echo $HOME $LANG $PWD $(id -u) $(hostname) ${LEAK-}; which psql docker | wc -l') == \
	'/root C.UTF-8 /root 0 left'$'\n'2 ]]
}

# 129 is 128 plus SIGHUP, from the shell between both sides.
signals_are_its_own() (
	trap '' HUP
	exits 129 machine exec left -- sh -c 'kill -HUP $$'
)

has_no_network() {
	machine exec left -- ip -brief link
	[[ $(machine exec left -- ip -brief link | grep -cv '^docker0') == 1 ]]
}

killed_exec_leaves_nothing() {
	# Not the function machine: its $! would be a shell's PID.
	"$here/machine" exec left -- sleep 31415 &
	eventually machine exec left -- pgrep -f '^sleep 31415'
	kill $!
	exits 143 wait $!
	eventually exits 1 machine exec left -- pgrep -f '^sleep 31415'
}

one_line_error() {
	local code=0
	machine "$@" 2>"$work/stderr" || code=$?
	cat "$work/stderr"
	[[ $code == 1 && $(wc -l <"$work/stderr") == 1 && $(<"$work/stderr") == 'machine: '* ]]
}

copies_both_ways() {
	mkdir -p "$work/tree/sub"
	echo one >"$work/tree/sub/.hidden"
	chmod 600 "$work/tree/sub/.hidden"
	ln -s sub/.hidden "$work/tree/link"
	machine copy left "$work/tree" /root/new
	machine copy left "$work/tree/sub/.hidden" /run/
	[[ $(machine exec left -- stat -c '%a %U' /root/new/sub/.hidden /run/.hidden) == $'600 root\n600 root' ]]
	machine copy left --from /root/new "$work/back"
	machine copy left --from /run/.hidden "$work/back.hidden"
	diff -r --no-dereference "$work/tree" "$work/back"
	cmp "$work/tree/sub/.hidden" "$work/back.hidden"
}

bind_is_read_only() {
	echo bound >"$work/bound"
	[[ $(machine exec left -- cat /mnt/host/bound) == bound ]]
	exits 1 machine exec left -- touch /mnt/host/bound
}

share_nothing() {
	machine exec left -- touch /root/only-left
	exits 1 machine exec right -- test -e /root/only-left
	[[ $(machine exec left -- cat /etc/machine-id) != "$(machine exec right -- cat /etc/machine-id)" ]]
	# In a shared cgroup, one systemd would stop the other's services.
	machine exec right -- systemctl stop docker.service docker.socket
	machine exec left -- docker info
	machine exec right -- systemctl start docker.service
}

reboot_keeps_files() {
	machine exec left -- sh -c 'echo kept >/root/kept'
	machine reboot left
	[[ $(machine exec left -- cat /root/kept) == kept ]]
	is_running left
	[[ $(machine exec left -- journalctl --list-boots --no-pager --quiet | grep -cv IDX) == 2 ]]
	# The options of `up` hold for every boot of this machine.
	[[ $(machine exec left -- cat /mnt/host/bound) == bound ]]
}

kill_keeps_synced() {
	machine exec left -- sh -c 'echo synced >/root/synced && sync /root/synced'
	machine kill left
	exits 1 machine exec left -- true
	nothing_runs left
	machine up left
	[[ $(machine exec left -- cat /root/synced) == synced ]]
	is_running left
}

# No process of a machine runs: neither in its cgroup nor with its disk on the command line.
nothing_runs() {
	exits 1 pgrep -af "systemd-nspawn.*$NEXUS_TEST_HOSTS/$1/"
	exits 1 machine exec "$1" -- true
}

nothing_is_mounted() { exits 1 grep -e "$NEXUS_TEST_HOSTS" -e "$work" -e /run/systemd/nspawn /proc/mounts; }

no_cgroup_is_left() {
	local id
	id=$(printf '%s' "$1" | sha256sum | cut -c1-8)
	[[ -z $(find /sys/fs/cgroup -maxdepth 3 -name "nexus-test-$id-*") ]]
}

# Without nspawn the machine runs on in its own namespaces, until `down`.
launcher_killed() {
	local init
	init=$(machine status | awk '$1 == "right" { print $3 }')
	kill -KILL "$(pgrep -f "systemd-nspawn.*$NEXUS_TEST_HOSTS/right/")"
	nothing_is_mounted
	machine down right
	is_dead "$init"
	nothing_runs right
	machine up right
	is_running right
}

# Gone, or a zombie: with nspawn killed, the host's PID 1 must reap it, which may take a moment.
is_dead() {
	local state
	state=$(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null || true)
	[[ -z $state || $state == [ZX] ]]
}

up_killed() {
	machine down right
	"$here/machine" up right &
	eventually pgrep -f "systemd-nspawn.*$NEXUS_TEST_HOSTS/right/"
	kill -KILL $!
	exits 137 wait $!
	machine down right
	nothing_runs right
	nothing_is_mounted
	[[ ! -e $NEXUS_TEST_HOSTS/right ]]
}

build_killed() {
	local cache=$work/cache
	NEXUS_TEST_CACHE=$cache NEXUS_TEST_IMAGES=stand-in "$here/machine" build &
	eventually test -d "$cache/.partial/root/var/lib/dpkg"
	kill -KILL $!
	exits 137 wait $!
	eventually exits 1 pgrep -f "mmdebstrap.*$cache/"
	nothing_is_mounted
	NEXUS_TEST_CACHE=$cache machine status | grep '^image: none yet'
	# The next build starts clean, and leaves nothing after SIGTERM.
	touch "$cache/.partial/left-over"
	NEXUS_TEST_CACHE=$cache NEXUS_TEST_IMAGES=stand-in "$here/machine" build &
	eventually test ! -e "$cache/.partial/left-over"
	eventually test -d "$cache/.partial/root/var/lib/dpkg"
	kill -TERM $!
	exits 130 wait $!
	nothing_is_mounted
	no_cgroup_is_left "$cache"
}

# With commands running in it, one of which ignores SIGTERM.
reboot_from_inside() {
	machine exec left -- sh -c 'trap "" TERM; while :; do sleep 1; done' &
	machine exec left -- sleep 600 &
	eventually machine exec left -- pgrep -f '^sleep 600'
	machine exec left -- systemctl reboot
	machine up left
	is_running left
}

down_leaves_nothing() {
	machine down left
	machine down right
	nothing_runs left
	nothing_runs right
	nothing_is_mounted
	[[ -z $(ls -A "$NEXUS_TEST_HOSTS") ]]
	no_cgroup_is_left "$NEXUS_TEST_HOSTS"
}
