# For tests that run inside an installed machine. A check is a function; if it fails, its standard error is the reason. Each check
# prints one line, `ok NAME` or `FAILED NAME: why`, and the last line is `N passed, N failed`.
# shellcheck shell=bash

passed=0
failed=0

# check FUNCTION [ARGUMENT…]: runs it, prints the result, and counts it.
check() {
	local name="$*" why pid
	why=$(mktemp)
	# In the background, because bash ignores `set -e` inside a condition. For a command that fails without a message, prints its text.
	(set -Eeuo pipefail && shopt -s inherit_errexit && trap '[[ $BASH_COMMAND == return* ]] || printf "failed: %s\n" "$BASH_COMMAND" >&2' ERR && "$@") >"$why" 2>&1 &
	pid=$!
	if wait "$pid"; then
		passed=$((passed + 1))
		printf 'ok %s\n' "$name"
	else
		failed=$((failed + 1))
		printf 'FAILED %s: %s\n' "$name" "$(tail -n 6 "$why" | tr '\n' ' ')"
	fi
	rm -f "$why"
}

# Prints the last line, and returns the exit code.
report() {
	printf '%d passed, %d failed\n' "$passed" "$failed"
	((failed == 0 && passed > 0))
}

# same WHAT GOT WANTED: fails unless both are equal.
same() {
	[[ $2 == "$3" ]] || {
		printf '%s is "%s" where "%s" was expected\n' "$1" "$2" "$3" >&2
		return 1
	}
}

# flip FILE AT: flips a bit of the byte at this offset. A constant instead would now and then be the byte that is there.
flip() {
	local byte
	byte=$(od -An -t u1 -j "$2" -N 1 "$1")
	printf '%b' "\\x$(printf '%02x' $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# fails WORDS COMMAND…: the command must fail, and its output must contain WORDS.
fails() {
	local words=$1 said
	shift
	if said=$("$@" 2>&1); then
		printf '"%s" succeeded where it should have been refused\n' "$*" >&2
		return 1
	fi
	[[ $said == *"$words"* ]] || {
		printf '"%s" failed, but with "%s" instead of "%s"\n' "$*" "$said" "$words" >&2
		return 1
	}
}

# exits CODE WORDS COMMAND…: the command must exit with CODE, and its output must contain WORDS.
exits() {
	local code=$1 words=$2 said status=0
	shift 2
	said=$("$@" 2>&1 </dev/null) || status=$?
	same "the exit code of $* ($said)" "$status" "$code"
	[[ $said == *"$words"* ]] || { printf '"%s" said "%s" and not "%s"\n' "$*" "$said" "$words" >&2 && return 1; }
}

# … | found [OPTION…] PATTERN: like grep --quiet, but reads to the end; otherwise SIGPIPE would sometimes end the writer.
# shellcheck disable=SC2143 # see above
found() { [[ -n $(grep "$@") ]]; }

# Syncs first, so that the journal has all earlier messages, however busy the machine is.
journalctl() { command journalctl --sync && command journalctl "$@"; }

# await SECONDS COMMAND…: waits until COMMAND succeeds, for at most 5 × SECONDS. SECONDS suits an idle machine; the factor suits a
# busy one.
await() {
	local end=$((SECONDS + 5 * $1)) pause=20
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || {
			printf 'not in time: %s\n' "$*" >&2
			return 1
		}
		# From 0.2 s to 1 s, because a look costs more than a wait.
		sleep "${brief:-$(printf '%d.%02d' $((pause / 100)) $((pause % 100)))}"
		((pause == 100)) || pause=$((pause + 10))
	done
}
# await_brief SECONDS COMMAND…: the same for what may last less than a second, as a process does.
await_brief() { brief=0.05 await "$@"; }

# Starts Docker again. Resets systemd's limit of three starts a minute, which a fast machine would exceed.
start_docker() {
	systemctl reset-failed docker.service docker.socket
	systemctl start docker.service
}

# halted PID COMMAND…: lets a process run in short steps, and leaves it stopped (SIGSTOP) once COMMAND succeeds. COMMAND runs while the
# process is stopped, so the speed of the machine does not matter. Fails if the process ends before.
halted() {
	local pid=$1
	shift
	while [[ -n $pid && $(ps -o stat= -p "$pid") == [!Z]* ]] && kill -STOP "$pid" 2>/dev/null; do
		if "$@" >/dev/null 2>&1; then return; fi
		kill -CONT "$pid" 2>/dev/null || true
		# The length of a step.
		sleep 0.1
	done
	printf 'process %s has ended, and never saw: %s\n' "$pid" "$*" >&2
	return 1
}
# Prints the only process of this name, once it exists.
process_of() { await_brief 30 pgrep --exact "$1" && pgrep --newest --exact "$1"; }

# while_journald_is_behind PROGRAM COMMAND…: stops journald, so that it reads PROGRAM's messages only once PROGRAM waits for that, or has
# ended.
while_journald_is_behind() {
	local program=$1 journald stopped
	shift
	journald=$(pgrep --exact systemd-journal)
	for _ in 1 2 3 4 5; do
		stopped=$(date +%s%3N)
		kill -STOP "$journald"
		"$@" || {
			kill -CONT "$journald"
			return 1
		}
		await 30 waits_or_has_ended "$program" || true
		kill -CONT "$journald"
		# PROGRAM waits for five seconds at most: repeat if the machine was too slow.
		(($(date +%s%3N) - stopped > 4000)) || return 0
	done
	echo "five times it took more than 4 s" >&2
	return 1
}
# The system call 7 is poll(2); on other architectures it is 73, ppoll(2).
waits_or_has_ended() {
	local process
	process=$(pgrep --newest --exact "$1") || return 0
	[[ $(cut -d' ' -f1 "/proc/$process/syscall") =~ ^(7|73)$ ]]
}

# ---- The installed NEXUS

keys=/etc/nexus/credentials

# Whether both servers' containers are healthy.
healthy() {
	[[ $(docker inspect --format '{{.State.Health.Status}}' nexus-postgres nexus-redis | sort -u) == healthy ]]
}

# Runs psql as the owner, with SQL in the arguments.
as_owner() { docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=nexus "$@"; }

# Runs psql as a program, over the socket, with the password in a file, because arguments and environments are visible.
as_program() {
	local status=0 file
	file=$(mktemp)
	printf '*:*:*:nexus_app:%s\n' "$(<"$keys/nexus_app_password")" >"$file"
	PGPASSFILE=$file psql -XAtq --set=ON_ERROR_STOP=1 --host=/run/nexus/postgres --username=nexus_app --dbname=nexus "$@" || status=$?
	rm -f "$file"
	return "$status"
}

redis() { printf 'AUTH %s\n%s\n' "$(<"$keys/redis_password")" "$*" | redis-cli -s /run/nexus/redis/redis.sock | tail -n +2; }
