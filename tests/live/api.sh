#!/usr/bin/env bash
# Tests nexus-api inside an installed machine: each call once, over both sockets, and its behaviour without its servers.
# tests/live/api/ has the heavier tests.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

work=$(mktemp -d)
agent=api-test-$$
trap cleanup EXIT
cleanup() {
	docker start nexus-redis nexus-postgres >/dev/null || true
	as_owner --command="DELETE FROM nexus_memory.zep_episodic_memory WHERE agent_id IN ('$agent', '$agent-2')" \
		--command="DELETE FROM nexus_memory.api_idempotency WHERE agent_id = '$agent'" || true
	rm -rf "$work"
}

# call PATH [CURL ARGUMENT…]: prints the answer's body; its status is in $work/status, its header in $work/header.
call() {
	local path=$1
	shift
	curl --silent --show-error --max-time 60 --output "$work/body" --dump-header "$work/header" --write-out '%{http_code}' \
		--header "X-Nexus-Agent: $agent" "$@" "http://127.0.0.1:8003$path" >"$work/status"
	cat "$work/body"
}
# post PATH JSON [CURL ARGUMENT…]: like call, with a body.
post() { call "$1" --json "$2" "${@:3}"; }
# refused STATUS CODE FIELD: whether the last answer was this refusal.
refused() {
	same "the status" "$(<"$work/status")" "$1"
	same "code and field" "$(jq -r '[.code, .field // "-"] | join(" ")' "$work/body")" "$2 $3"
}
keys_of() { jq -r 'keys | join(" ")' "$work/body"; }
vector() { awk -v seed="$1" 'BEGIN { srand(seed); printf "["; for (i = 0; i < 384; i++) printf "%s%.6f", i ? "," : "", rand() - 0.5; print "]" }'; }

says_what_it_is() {
	call / >/dev/null
	same "its fields" "$(keys_of)" 'docs service status version'
	call / --header 'Accept: text/html' | found '<h1>NEXUS'
	call /health | jq -e '.status == "healthy" and .database == "connected" and .redis == "connected"' >/dev/null
	curl --silent --unix-socket /run/nexus/api.sock http://localhost/health | jq -e '.agent_id == "nexus"' >/dev/null
	call /openapi.json | jq -e '.openapi == "3.1.0" and (.paths | length) == 19' >/dev/null
}

stores_and_finds() {
	local id text
	id=$(post /memory/action "{\"action_type\": \"note\", \"action_details\": {\"content\": \"La llave está en la panadería 🧠\", \"importance_score\": 0.8}, \"tags\": [\"home\"], \"embedding\": $(vector 1)}" | jq -r .episode_id)
	same "its fields" "$(keys_of)" 'episode_id message success timestamp'
	text=$(post /memory/search '{"query": "panaderia", "mode": "text"}')
	same "found by a word" "$(jq -r '.results[0].episode_id' <<<"$text")" "$id"
	same "fields of a result" "$(jq -r '.results[0] | keys | join(" ")' <<<"$text")" 'content created_at episode_id importance_score similarity_score tags'
	same "found by its vector" "$(post /memory/search "{\"query\": \"\", \"embedding\": $(vector 1), \"mode\": \"vector\"}" | jq -r '.results[0] | [.episode_id, .similarity_score > 0.999] | join(" ")')" "$id true"
	same "found by both" "$(post /memory/search "{\"query\": \"llave\", \"embedding\": $(vector 1), \"tags\": [\"home\"], \"type\": \"note\", \"since\": \"2020-01-01\"}" | jq -r '.results[0].episode_id')" "$id"
	same "with another tag" "$(post /memory/search '{"query": "llave", "mode": "text", "tags": ["work"]}' | jq .count)" 0
	same "results of another version" "$(post /memory/search "{\"query\": \"\", \"embedding\": $(vector 1), \"embedding_version\": \"other\", \"mode\": \"vector\"}" | jq .count)" 0
	same "the episode" "$(call "/memory/episode/$id" | jq -r '.episode | [.metadata.action_type, .has_embedding, .embedding_version] | join(" ")')" 'note true given'
	same "the status for another agent" "$(curl --silent --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:8003/memory/episode/$id")" 404
}

lists() {
	local before
	before=$(post /memory/batch '{"actions": [{"action_type": "a", "action_details": {"content": "first"}}, {"action_type": "b", "action_details": {"content": "second"}, "tags": ["x"]}]}' | jq -r .timestamp)
	same "ids of a batch" "$(jq '.episode_ids | length' "$work/body")" 2
	same "the newest" "$(call '/memory/episodic/recent?limit=1' | jq -r '[.episodes[0].content, .cached] | join(" ")')" 'second false'
	same "once more" "$(call '/memory/episodic/recent?limit=1' | jq -r '[.episodes[0].content, .cached] | join(" ")')" 'second true'
	post /memory/action '{"action_type": "c", "action_details": {"content": "third"}}' >/dev/null
	same "after an insert" "$(call '/memory/episodic/recent?limit=1' | jq -r '[.episodes[0].content, .cached] | join(" ")')" 'third false'
	same "after" "$(post /memory/temporal/after "{\"timestamp\": \"$before\"}" | jq -r '[.episodes[].content] | join(" ")')" third
	same "before, with a tag" "$(post /memory/temporal/before '{"timestamp": "2100-01-01", "tags": ["x"]}' | jq -r '[.episodes[].content] | join(" ")')" second
	same "a range" "$(post /memory/temporal/range '{"start": "2020-01-01", "end": "2100-01-01", "limit": 3}' | jq .count)" 3
	same "counts" "$(call /stats | jq -c '[.stats.total_episodes, .stats.episodes_with_embeddings, (.stats.embeddings_queue | add // 0)]')" "$(as_owner --command="SELECT format('[%s,%s,%s]', count(*), count(embedding), count(*) - count(embedding)) FROM nexus_memory.zep_episodic_memory WHERE agent_id = '$agent'")"
}

retry_stores_nothing_twice() {
	local first
	first=$(post /memory/action '{"action_type": "a", "action_details": {"content": "once"}}' --header 'Idempotency-Key: k1' | jq -r .episode_id)
	same "the second answer" "$(post /memory/action '{"action_type": "a", "action_details": {"content": "once"}}' --header 'Idempotency-Key: k1' | jq -r .episode_id)" "$first"
	same "rows" "$(as_owner --command="SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE agent_id = '$agent' AND content = 'once'")" 1
	post /memory/action '{"action_type": "a", "action_details": {"content": "other"}}' --header 'Idempotency-Key: k1' >/dev/null
	refused 409 key_used Idempotency-Key
}

working_memory_keeps_seven() {
	local i
	call /memory/working/clear --request POST >/dev/null
	for i in {1..8}; do call "/memory/working/add?episode_id=e$i" --json '["t"]' >/dev/null; done
	same "its fields" "$(keys_of)" 'added buffer_size capacity episode_id message success'
	same "the items" "$(call /memory/working/items | jq -r '[.items[].episode_id] | join(" ")')" 'e8 e7 e6 e5 e4 e3 e2'
	same "their fields" "$(jq -r '.items[0] | keys | join(" ")' "$work/body")" 'access_count added_at age_seconds attention_weight episode_id last_accessed tags'
	same "added again" "$(call '/memory/working/add?episode_id=e3&attention_weight=0.5' --request POST | jq -c '[.added, .buffer_size]')" '[false,7]'
	call /memory/working/stats | jq -e '.count == 7 and .total_accesses == 1' >/dev/null
	same "cleared" "$(call /memory/working/clear --request POST | jq .cleared_count)" 7
}

# Each call reads the present value before it writes. One agent may have 24 requests at once.
working_memory_counts_calls_at_once() {
	call /memory/working/clear --request POST >/dev/null
	call '/memory/working/add?episode_id=same&attention_weight=[1-20]' --request POST --parallel --parallel-immediate --parallel-max 20 >/dev/null
	same "accesses but the first" "$(call /memory/working/stats | jq .total_accesses)" 19
}

exports_and_imports() {
	local rows
	call /memory/export >"$work/all"
	rows=$(wc -l <"$work/all")
	same "rows" "$rows" "$(as_owner --command="SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE agent_id = '$agent'")"
	same "imported again" "$(call /memory/import --data-binary "@$work/all" | jq -c '[.imported, .existing]')" "[0,$rows]"
	same "for another agent" "$(curl --silent --header "X-Nexus-Agent: $agent-2" --data-binary "@$work/all" http://127.0.0.1:8003/memory/import | jq -c '[.imported, .existing]')" "[$rows,0]"
	same "once more" "$(curl --silent --header "X-Nexus-Agent: $agent-2" --data-binary "@$work/all" http://127.0.0.1:8003/memory/import | jq -c '[.imported, .existing]')" "[0,$rows]"
	same "its episodes" "$(curl --silent --header "X-Nexus-Agent: $agent-2" http://127.0.0.1:8003/memory/export | jq -c 'del(.episode_id)' | sort | sha256sum)" "$(jq -c 'del(.episode_id)' "$work/all" | sort | sha256sum)"
}

# The largest number that JSON readers support, and one of another program that only PostgreSQL supports.
numbers_come_back() {
	local id zeros
	id=$(post /memory/action '{"action_type": "a", "action_details": {"content": "large", "most": 1.7976931348623157e308}}' | jq -r .episode_id)
	same "the largest" "$(call "/memory/episode/$id" | jq '.episode.metadata.action_details.most == 1.7976931348623157e308')" true
	as_owner --command="UPDATE nexus_memory.zep_episodic_memory SET metadata = '{\"more\": 1e400}' WHERE episode_id = '$id'"
	zeros=$(printf '0%.0s' {1..400})
	call "/memory/episode/$id" | found "\"metadata\":{\"more\": 1$zeros}"
	call /memory/export | found "\"metadata\":{\"more\": 1$zeros}"
	same "its status" "$(<"$work/status")" 200
	as_owner --command="DELETE FROM nexus_memory.zep_episodic_memory WHERE episode_id = '$id'"
}

forgets() {
	local id
	id=$(post /memory/action '{"action_type": "a", "action_details": {"content": "to be forgotten"}}' | jq -r .episode_id)
	call '/memory/episodic/recent?limit=1' >/dev/null
	call "/memory/episode/$id" --request DELETE >/dev/null
	same "the status" "$(<"$work/status")" 200
	same "rows" "$(as_owner --command="SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE episode_id = '$id'")" 0
	same "copies" "$(redis EXISTS "episode:$id")" 0
	same "the newest" "$(call '/memory/episodic/recent?limit=100' | jq --arg id "$id" '[.episodes[] | select(.episode_id == $id)] | length')" 0
	call "/memory/episode/$id" --request DELETE >/dev/null
	refused 404 not_found -
}

refusals_name_the_field() {
	post /memory/action '{"action_type": "a", "action_details": {"content": "a\u0000b"}}' >/dev/null
	refused 422 invalid action_details.content
	post /memory/action '{"action_type": "a", "action_details": {}, "embedding": [1, 2]}' >/dev/null
	refused 422 invalid embedding
	post /memory/search '{"query": "x", "limit": 1000}' >/dev/null
	refused 422 invalid limit
	call /memory/search --data '{"query": NaN}' >/dev/null
	refused 400 invalid_json -
	head --bytes=5000000 /dev/zero | call /memory/action --data-binary @- >/dev/null
	refused 413 too_long -
	call /memory/nothing >/dev/null
	refused 404 no_such_call -
	call /memory/action >/dev/null
	refused 405 method_not_allowed -
	# A megabyte of four-byte characters.
	python3 -c 'print("{\"action_type\": \"long\", \"action_details\": {\"content\": \"" + "🧠" * 262144 + "\"}}")' >"$work/long"
	call /memory/action --data-binary "@$work/long" >/dev/null
	same "the status of a megabyte" "$(<"$work/status")" 200
}

right_without_redis() {
	local status
	docker stop nexus-redis >/dev/null
	status=$(call /health | jq -r .status)
	post /memory/action '{"action_type": "a", "action_details": {"content": "without Redis"}}' >/dev/null
	same "the newest" "$(call '/memory/episodic/recent?limit=1' | jq -r '.episodes[0].content')" 'without Redis'
	call /memory/working/items >/dev/null
	refused 503 redis_unavailable -
	grep -qi '^retry-after: 1' "$work/header"
	docker start nexus-redis >/dev/null
	await 60 healthy
	same "its health" "$status" degraded
	await 10 eval 'call /health | jq -e ".status == \"healthy\""'
}

says_so_without_postgres() {
	docker stop nexus-postgres >/dev/null
	call /health >/dev/null
	same "its health" "$(<"$work/status") $(jq -r .status "$work/body")" '503 unhealthy'
	post /memory/action '{"action_type": "a", "action_details": {}}' >/dev/null
	refused 503 database_unavailable -
	docker start nexus-postgres >/dev/null
	await 60 healthy
	await 10 eval 'call /health | jq -e ".status == \"healthy\""'
}

restart_loses_no_request() {
	local i asking=() codes
	for i in 1 2 3 4; do
		(until [[ -e $work/restarted ]]; do curl --silent --output /dev/null --write-out '%{http_code}\n' http://127.0.0.1:8003/stats || echo lost; done) >"$work/codes.$i" &
		asking+=("$!")
	done
	for _ in 1 2 3; do systemctl restart nexus-api; done
	touch "$work/restarted"
	wait "${asking[@]}"
	codes=$(sort -u "$work"/codes.* | tr '\n' ' ')
	same "the statuses" "$codes" '200 '
}

a_token_is_required() {
	local without with token
	token=$(head -c 24 /dev/urandom | base64)
	install -m 600 /dev/null "$keys/api_token"
	printf '%s\n' "$token" >"$keys/api_token"
	systemctl restart nexus-api
	call /stats >/dev/null
	without=$(<"$work/status")
	call /stats --header "Authorization: Bearer $token" >/dev/null
	with=$(<"$work/status")
	rm "$keys/api_token"
	systemctl restart nexus-api
	same "without and with" "$without $with" '401 200'
}

a_token_that_can_be_guessed_is_refused() {
	local started=yes
	trap 'rm -f "$keys/api_token" && systemctl restart nexus-api' EXIT
	install -m 600 /dev/null "$keys/api_token"
	printf 'sesame\n' >"$keys/api_token"
	systemctl restart nexus-api || started=no
	same "whether it started" "$started" no
	journalctl --unit=nexus-api --output=cat --lines=20 | found 'api_token: it has fewer than 32 characters'
}

# In HTTP/1.0 a truncated export would look complete, because nothing says its length.
an_export_over_http_1_0_is_refused() {
	call /memory/export --http1.0 >/dev/null
	refused 505 http_version -
	call /memory/export --http1.1 | jq -se 'length > 0' >/dev/null
	same "the status" "$(<"$work/status")" 200
	# A response with a length may use any version.
	call /stats --http1.0 >/dev/null
	same "the status of another call" "$(<"$work/status")" 200
}

# as_the_api COMMAND…: runs it in Redis as nexus-api. api/redis_user.py tests which commands it may send.
as_the_api() { printf 'AUTH nexus-api %s\n%s\n' "$(<"$keys/redis_api_password")" "$*" | redis-cli -s /run/nexus/redis/redis.sock | tail -n +2; }
redis_gives_the_api_only_its_own_keys() {
	local words
	redis SET of-another secret >/dev/null
	for words in 'GET of-another' 'SET of-another x' 'DEL of-another' 'MGET nexus-api:x of-another' 'HGETALL of-another' 'HSET of-another x y' 'HDEL of-another x' 'PEXPIRE of-another 1'; do
		as_the_api "$words" >"$work/answer"
		grep -q '^NOPERM ' "$work/answer" || { printf '%s was answered with: %s\n' "$words" "$(<"$work/answer")" >&2 && return 1; }
	done
	same "the key of another" "$(redis GET of-another)" secret
	redis DEL of-another >/dev/null
	same "a key of its own" "$(as_the_api SET nexus-api:x 1) $(as_the_api GET nexus-api:x) $(as_the_api DEL nexus-api:x)" 'OK 1 1'
	same "credentials of Redis that it was given" "$(find /run/credentials/nexus-api.service -name 'redis*' -printf '%f\n')" redis_api_password
}

the_watchdog_ends_one_that_hangs() {
	local pid
	pid=$(systemctl show --value --property=MainPID nexus-api)
	kill -STOP "$pid"
	await 60 eval "[[ \$(systemctl show --value --property=MainPID nexus-api) != $pid ]] && curl --silent --max-time 5 --fail http://127.0.0.1:8003/"
}

# A new session requests as many candidates as the number of rows needs, which the server's log shows. No ANALYZE may run meanwhile.
more_rows_more_candidates() {
	local since table=nexus_memory.zep_episodic_memory
	local counted="UPDATE pg_catalog.pg_class SET reltuples = 1000000 WHERE oid = '$table'::regclass"
	# shellcheck disable=SC2064 # as it is now
	trap "as_owner --command='ALTER ROLE nexus_app RESET log_statement' --command='ALTER TABLE $table RESET (autovacuum_enabled)' --command='ANALYZE $table' && systemctl restart nexus-api" EXIT
	as_owner --command="ALTER TABLE $table SET (autovacuum_enabled = off)" --command="ALTER ROLE nexus_app SET log_statement = 'all'" --command="$counted"
	since=$(date --iso-8601=ns)
	systemctl restart nexus-api
	post /memory/search '{"query": "anything", "mode": "text"}' >/dev/null
	docker logs --since "$since" nexus-postgres 2>&1 | found 'SET hnsw.ef_search = [2-9][0-9][0-9]$'
}

idle_memory_is_small() {
	local resident
	systemctl restart nexus-api
	call /health >/dev/null
	resident=$(awk '/VmRSS/ { print $2 }' "/proc/$(systemctl show --value --property=MainPID nexus-api)/status")
	echo "resident: $resident KiB"
	((resident < 16 * 1024))
}

metrics_are_openmetrics() {
	call /metrics >"$work/metrics"
	grep -q '^nexus_api_request_seconds_bucket{route="/health",le="+Inf"}' "$work/metrics"
	same "the last line" "$(tail -n 1 "$work/metrics")" '# EOF'
}

await 60 curl --silent --fail http://127.0.0.1:8003/
check says_what_it_is
check stores_and_finds
check lists
check retry_stores_nothing_twice
check working_memory_keeps_seven
check working_memory_counts_calls_at_once
check exports_and_imports
check numbers_come_back
check forgets
check refusals_name_the_field
check metrics_are_openmetrics
check right_without_redis
check says_so_without_postgres
check restart_loses_no_request
check a_token_is_required
check a_token_that_can_be_guessed_is_refused
check an_export_over_http_1_0_is_refused
check redis_gives_the_api_only_its_own_keys
check the_watchdog_ends_one_that_hangs
check more_rows_more_candidates
check idle_memory_is_small
report
