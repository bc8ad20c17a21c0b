# Runs the README's first command, as a person would.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

part_try() {
	local said status=0 passed=0 failed=0 before
	said=$logs/.try
	# The trial uses the same cache. Fetched here, because two lanes must not fetch it at once.
	fetch_model
	before=$(git status --porcelain)
	./install.sh --try </dev/null >"$said" 2>&1 || status=$?
	sed -n '/== Summary/,$p' "$said"
	tried "it ends well" test "$status" -eq 0
	tried "what was wiped is there again" grep -q '^  rows and digest  *the same as before' "$said"
	tried "the set has proven itself" grep -q '^  proven in ' "$said"
	tried "thousands are stored through the API" grep -qE '^  episodes  *[1-9][0-9]{3,}: [1-9][0-9]{3,} through the API' "$said"
	tried "its machine is gone" grep -qE "^machine: 'try-[0-9]+' is gone" "$said"
	tried "nothing is changed here" test "$(git status --porcelain)" == "$before"
	((failed == 0)) || tail -n 40 "$said"
	printf '%d passed, %d failed\n' "$passed" "$failed"
	((failed == 0))
}

# tried PROMISE COMMAND…: prints the result, and counts it.
tried() {
	if "${@:2}"; then
		passed=$((passed + 1))
		printf 'ok %s\n' "$1"
	else
		failed=$((failed + 1))
		printf 'FAILED %s\n' "$1"
	fi
}
