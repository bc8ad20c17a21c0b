# Words to the person, and waiting for a condition.
# shellcheck shell=bash

say() { printf 'machine: %s\n' "$*" >&2; }

# die MESSAGE: what was being done, why it failed, what to do next, on one line.
die() {
	say "$*"
	exit 1
}

usage_error() {
	say "$* (tests/host/machine --help)"
	exit 64
}

# await SECONDS CONDITION...: true as soon as the condition is, false when the time is over.
await() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.05
	done
}
