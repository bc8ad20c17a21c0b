# Prints messages, and waits for a condition.
# shellcheck shell=bash

say() { printf 'machine: %s\n' "$*" >&2; }

# die MESSAGE: exits; MESSAGE says on one line what failed, the cause and the remedy.
die() {
	say "$*"
	exit 1
}

usage_error() {
	say "$* (tests/host/machine --help)"
	exit 64
}

# await SECONDS CONDITION...: succeeds as soon as the condition is true, fails after that time.
await() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.05
	done
}
