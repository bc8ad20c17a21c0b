#!/usr/bin/env bash
# Tests the promises of nexus-api and nexus-embed in an installed machine: each file in api/ has one promise, named at its top.
# usage: api-proofs.sh [--long]
#   --long   more random cases, and kills for minutes
set -euo pipefail
shopt -s inherit_errexit
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/checks.sh"

calls=1000 rounds=1 rows=5000
if [[ ${1-} == --long ]]; then calls=20000 rounds=12 rows=50000; fi
export NEXUS_TEST_SEED=${NEXUS_TEST_SEED:-17048095}
settings=/etc/nexus/nexus.env
before=$(mktemp)
cp -a "$settings" "$before"
trap 'cat "$before" >"$settings"; rm -f "$before"; systemctl stop nexus-embed' EXIT

# proof NAME ARGUMENT…: runs the file, and shows its findings.
proof() { python3 -B "$here/api/$1.py" "${@:2}" >"/tmp/proof-$1" 2>&1 || { tail -n 3 "/tmp/proof-$1" >&2 && return 1; }; }
said() { sed 's/^/   /' "/tmp/proof-$1"; }
prove() {
	check proof "$@"
	said "$1"
}

rss_of() { awk '/^VmRSS:/ { print $2 }' "/proc/$(systemctl show --property=MainPID --value "$1")/status"; }

api_is_small_when_idle() {
	local rss
	# After all requests of the proofs.
	rss=$(rss_of nexus-api)
	((rss <= 16 * 1024)) || { echo "nexus-api holds $rss KiB" >&2 && return 1; }
}

started_after() { (($(systemctl show --property=ActiveEnterTimestampMonotonic --value "$2") > $1)); }
is_inactive() { [[ $(systemctl is-active "$1") == inactive ]]; }
search() { curl --silent --fail-with-body --unix-socket /run/nexus/api.sock http://localhost/memory/search --json "{\"query\": \"$1\"}"; }

embed_leaves_when_idle_and_comes_back() {
	local left
	sed -i 's/^NEXUS_EMBED_IDLE=.*/NEXUS_EMBED_IDLE=2s/' "$settings"
	systemctl restart nexus-embed
	search "a question for the model $RANDOM" >/dev/null
	await 60 is_inactive nexus-embed
	same "its processes" "$(pgrep --count --exact nexus-embed || true)" 0
	same "its end" "$(systemctl show --property=Result --value nexus-embed)" success
	left=$(systemctl show --property=InactiveEnterTimestampMonotonic --value nexus-embed)
	search "another question for the model $RANDOM" >/dev/null
	# The search starts it, but does not wait for it longer than for a search by words.
	await 60 started_after "$left" nexus-embed
}

prove recorded
prove inputs
prove isolation "$calls"
prove isolation_sql "$calls"
prove recall "$rows"
prove limits
prove crowd
prove restart "$((rounds * 3))"
prove redis_down
prove redis_user
prove kills "$rounds"
prove examples
check api_is_small_when_idle
echo "   nexus-api holds $(rss_of nexus-api) KiB"
check embed_leaves_when_idle_and_comes_back
report
