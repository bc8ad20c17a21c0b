# The API: its own tests and its proofs in an installed machine; and from this one, with programs of others, whether it is what its
# OpenAPI file says.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

contract=$tools/contract

# Programs of others, in an environment of their own.
need_contract() {
	local wanted="schemathesis==4.32.5 openapi-spec-validator==0.9.0 mcp==2.3.0"
	[[ $(cat "$contract/holds" 2>/dev/null) != "$wanted" ]] || return 0
	need curl=curl python3-venv=python3
	# Debian's python3 has the module venv, and what it needs to put pip there is a package of its own.
	python3 -c 'import ensurepip' 2>/dev/null || as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
	rm -rf "$contract"
	python3 -m venv "$contract"
	# shellcheck disable=SC2086 # several
	"$contract/bin/pip" install --quiet --disable-pip-version-check $wanted
	echo "$wanted" >"$contract/holds"
}

# COMMAND… here, with the network of the machine: its loopback, where the API listens.
beside_machine() {
	local leader
	leader=$("$machine" status | awk -v name="$installed_machine" '$1 == name { print $3 }')
	as_root nsenter --target "$leader" --net -- "$@"
}

openapi_file_is_valid() {
	beside_machine curl --silent --fail http://127.0.0.1:8003/openapi.json >"$contract/openapi.json"
	"$contract/bin/python" -m openapi_spec_validator "$contract/openapi.json"
}

# No 500, no status, type or shape that the file does not name, nothing wrong taken. By number of cases, not by time: on a slow
# machine a time ends before the first case, and no case is no failure to it. Not whether all that fits the file is taken: it
# cannot say that an end is not before its start, or that a vector has a length. Not the import, whose lines schemathesis cannot
# write. One worker: with more, hypothesis trips over its own caches.
answers_are_as_documented() {
	local said=$contract/said status=0
	beside_machine env --chdir="$contract" "$contract/bin/st" --no-color run http://127.0.0.1:8003/openapi.json --header 'X-Nexus-Agent: contract' \
		--checks all --exclude-checks positive_data_acceptance --exclude-path /memory/import --phases coverage,fuzzing,stateful --max-examples "$1" --workers 1 --seed "$seed" --request-timeout 60 --warnings off --generation-database none >"$said" 2>&1 || status=$?
	cat "$said"
	((status == 0)) && grep -qE '^ +[0-9]+ generated' "$said"
}

# With the users of the machine, because the client asks who has accepted its connection.
assistants_library_works() {
	local users status=0
	users=$(mktemp)
	"$machine" copy "$installed_machine" --from /etc/passwd "$users"
	# shellcheck disable=SC2016 # the inner shell's
	beside_machine unshare --mount bash -c 'mount --bind "$0" /etc/passwd && exec "$@"' "$users" "$contract/bin/python" -B tests/live/api/contract_client.py "$PWD/docs/examples/mcp_server.py" || status=$?
	rm -f "$users"
	return "$status"
}

# A browser with a DNS server of its own: the test's.
pages_keep_out() {
	local names
	need chromium=chromium
	names=$(mktemp)
	echo 'nameserver 127.0.0.1' >"$names"
	# shellcheck disable=SC2016 # the inner shell's
	beside_machine unshare --mount bash -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$names" python3 -B tests/live/api/browser.py "$(type -P chromium)"
	rm -f "$names"
}

part_api() {
	local passed=0 failed=0 cases=5 long_too=()
	if [[ -n $long ]]; then cases=500 long_too=(--long); fi
	need_contract
	# The machine that has a model.
	installed embed
	in_machine live/api.sh
	one openapi-file-is-valid openapi_file_is_valid
	one answers-are-as-documented answers_are_as_documented "$cases"
	one assistants-library-works assistants_library_works
	one pages-keep-out pages_keep_out
	# What is said here is a count: what comes after it has one of its own.
	printf '%d passed, %d failed\n' "$passed" "$failed"
	in_machine live/api-proofs.sh "${long_too[@]}"
	((failed == 0))
}
