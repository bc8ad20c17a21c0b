# Tests forgetting one episode over nexus-purge.socket, like the API.
# shellcheck shell=bash disable=SC2154 # work and ledger are those of purge.sh

asked=$(dirname "${BASH_SOURCE[0]}")/asked.py

# as_user USER: sends standard input as a request, and prints the answer.
as_user() { setpriv --reuid="$1" --regid="$1" --clear-groups python3 -c "$(<"$asked")"; }
ask() { as_user nexus-api; }
# ask_for AGENT ID: prints the status of the answer.
ask_for() { jq -cn --arg agent "$1" --arg id "$2" '{v: 1, agent: $agent, episode: $id}' | ask >"$work/answer" && jq -r .status "$work/answer"; }
lines() { if [[ -e $ledger ]]; then wc -l <"$ledger"; else echo 0; fi; }
one_of() { memory --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE $1 ORDER BY episode_id LIMIT 1"; }

forgets_at_once_what_the_agent_has() {
	local id other lines before
	id=$(one_of "agent_id = 'nexus'") other=$(one_of "agent_id = 'other'")
	memory --command="CREATE TABLE public.quote (episode uuid REFERENCES nexus_memory.zep_episodic_memory ON DELETE CASCADE)" --command="INSERT INTO public.quote VALUES ('$id')"
	redis SET "episode:$id" copy >/dev/null
	before=$(rows) lines=$(lines)
	same "the answer for another agent's" "$(ask_for nexus "$other")" absent
	same "the answer for none" "$(ask_for nexus 00000000-0000-4000-8000-000000000000)" absent
	same "rows and lines after these" "$(rows) $(lines)" "$before $lines"
	# Upper case is the same id.
	same "the answer" "$(ask_for nexus "${id^^}")" forgotten
	same "rows with the id, who referred, and the copy" "$(rows "episode_id = '$id'") $(memory --command='SELECT count(*) FROM public.quote') $(redis EXISTS "episode:$id")" '0 0 0'
	same "rows and lines" "$(rows) $(lines)" "$((before - 1)) $((lines + 1))"
	same "its line" "$(nexus-purge --ledger --json | jq -r 'last | [.by, .what, .rows] | @csv')" '"asked by nexus-api","1 by id",'
	same "the id in the ledger" "$(grep -c "$id" "$ledger")" 0
	same "ids in the journal" "$(journalctl --unit='nexus-purge@*' --output=cat | grep -c "$id")" 0
	journalctl --unit='nexus-purge@*' --output=cat MESSAGE_ID=5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a75 --lines=1 | found '^forgot one episode for nexus-api$'
	same "the answer the second time" "$(ask_for nexus "$id")" absent
	memory --command="DROP TABLE public.quote"
}

# The nightly run cleans the free space in the files, and Redis's file.
nightly_run_finishes_it() {
	local id sentence='a sentence to be forgotten at once' data redis_data
	data=$(docker volume inspect --format '{{.Mountpoint}}' nexus_postgres_data)
	redis_data=$(docker volume inspect --format '{{.Mountpoint}}' nexus_redis_data)
	id=$(memory --command="INSERT INTO nexus_memory.zep_episodic_memory (content) VALUES ('$sentence') RETURNING episode_id" --command=CHECKPOINT)
	redis SET "episode:$id" "\"$sentence\"" >/dev/null
	grep -rqa "$sentence" "$data" && grep -rqa "$sentence" "$redis_data"
	same "the answer" "$(ask_for nexus "$id")" forgotten
	systemctl start nexus-purge
	same "its line" "$(nexus-purge --ledger --json | jq 'last | .rows')" 1
	same "open decisions" "$(nexus-purge --ledger --json | jq '[.[] | select(.rows == null)] | length')" 0
	same "files that hold it" "$(grep -rla "$sentence" "$data" "$redis_data" || true)" ""
}

asked_for_stays_gone_after_a_restore() {
	local id
	backup_of oblivion "$work/before-asked" 2>/dev/null
	id=$(one_of "agent_id = 'nexus'")
	same "the answer" "$(ask_for nexus "$id")" forgotten
	nexus-restore apply 1 --backup-dir "$work/before-asked" --no-safety-backup --no-redis --yes 2>"$work/said"
	same "rows with the id" "$(rows "episode_id = '$id'")" 0
	drop_others
}

# At every moment of a restore, forgets a row in the database that it replaces.
forgotten_while_a_restore_runs_stays_gone() {
	local ids id gone=() restoring program
	backup_of oblivion "$work/while" 2>/dev/null
	mapfile -t ids < <(memory --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE agent_id = 'nexus' LIMIT 500")
	nexus-restore apply 1 --backup-dir "$work/while" --no-safety-backup --no-redis --yes >/dev/null 2>"$work/said" &
	restoring=$!
	program=$(process_of nexus-restore)
	for id in "${ids[@]}"; do
		# Stops the restore during the first requests: on a fast machine it would end before. Later ones meet each of its steps.
		((${#gone[@]} > 3)) || kill -STOP "$program" 2>/dev/null || break
		# During the swap of names there may be no database.
		if [[ $(ask_for nexus "$id") == forgotten ]]; then gone+=("$id"); fi
		kill -CONT "$program" 2>/dev/null || break
	done
	wait "$restoring"
	((${#gone[@]} > 3))
	same "rows that came back" "$(rows "episode_id IN ($(printf "'%s'," "${gone[@]}")NULL)")" 0
	drop_others
}

other_users_may_not_ask() {
	fails 'Permission denied' as_user nexus <<<'{}'
	fails 'Permission denied' as_user daemon <<<'{}'
	fails 'Permission denied' setpriv --reuid=4711 --regid=4711 --groups=nexus python3 -c "$(<"$asked")" <<<'{}'
	# The API's user reaches nothing else of the jobs.
	fails 'Permission denied' setpriv --reuid=nexus-api --regid=nexus-api --clear-groups ls /run/nexus
	fails 'Permission denied' setpriv --reuid=nexus-api --regid=nexus-api --clear-groups ls /run/nexus/scratch
	fails 'Permission denied' setpriv --reuid=nexus-api --regid=nexus-api --clear-groups cat "$settings"
	fails 'Permission denied' setpriv --reuid=nexus-api --regid=nexus-api --clear-groups cat "$ledger"
	fails 'Permission denied' setpriv --reuid=nexus-api --regid=nexus-api --clear-groups ls /var/lib/nexus/backups
	fails 'no password supplied' setpriv --reuid=nexus-api --regid=nexus-api --clear-groups psql --host=/run/nexus/postgres --username=nexus_app --no-password --dbname=nexus --command='SELECT 1'
}

last_line_says() { journalctl --unit='nexus-purge@*' --output=cat --lines=1 | found -F "$1"; }
refused() { jq -e '.status == "failed" and (.message | startswith("malformed request: "))' >/dev/null; }
what_is_no_request_does_nothing() {
	local before id line
	id=$(one_of "agent_id = 'nexus'")
	before="$(rows) $(lines)"
	for line in '' '{}' '[]' "{\"v\":2,\"agent\":\"nexus\",\"episode\":\"$id\"}" "{\"v\":1,\"agent\":\"\",\"episode\":\"$id\"}" "{\"v\":1,\"agent\":\"nexus\",\"episode\":\"$id\",\"x\":1}" \
		"{\"v\":1,\"agent\":\"nexus\",\"episode\":\"x' OR true--\"}" "$(printf '{"v":1,"agent":"nexus","episode":"%s"}\n{}' "$id")"; do
		ask <<<"$line" | refused || { printf 'it was not refused: %s\n' "$line" >&2 && return 1; }
	done
	# A line above the limit, and one that never ends.
	head -c 20000 /dev/zero | tr '\0' ' ' | ask >/dev/null 2>&1 || true
	await 10 last_line_says 'it is longer than 8192 bytes'
	printf '{' | ask | refused
	# An agent that would be SQL if it were unquoted.
	same "the answer for a strange agent" "$(ask_for "x' OR agent_id = 'nexus" "$id")" absent
	same "rows and lines" "$(rows) $(lines)" "$before"
}

a_held_lock_is_answered_with_busy() {
	local before id held
	id=$(one_of "agent_id = 'nexus'")
	before="$(rows) $(lines)"
	# Locks the ledger like a nightly run or a restore.
	# shellcheck disable=SC2016 # the inner shell's
	flock /var/lib/nexus/ledger/.lock sh -c 'touch "$1" && cat' sh "$work/locked" < <(until [[ -e $work/answered ]]; do sleep 0.1; done) &
	held=$!
	await 10 test -e "$work/locked"
	same "the answer while the ledger is held" "$(ask_for nexus "$id")" busy
	touch "$work/answered"
	wait "$held"
	jq -e '.message | contains("held by")' "$work/answer" >/dev/null
	# Locks the row like a program that changes it.
	memory --command="BEGIN" --command="SELECT 1 FROM nexus_memory.zep_episodic_memory WHERE episode_id = '$id' FOR UPDATE" --command="SELECT pg_sleep(60)" --command=COMMIT >/dev/null 2>&1 &
	held=$!
	await 10 row_is_held "$id"
	same "the answer while the row is held" "$(ask_for nexus "$id")" busy
	memory --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND pid <> pg_backend_pid()" >/dev/null
	wait "$held" || true
	same "rows and lines" "$(rows) $(lines)" "$before"
	same "the answer then" "$(ask_for nexus "$id")" forgotten
}
row_is_held() { fails 'could not obtain lock' memory --command="SELECT 1 FROM nexus_memory.zep_episodic_memory WHERE episode_id = '$1' FOR UPDATE NOWAIT"; }

# A run may take minutes; meanwhile a request forgets one episode at once, and neither loses the other's line.
a_running_purge_delays_no_request() {
	local old id held run lines
	# Any run finishes open decisions, which would count below.
	nexus-purge >/dev/null 2>&1
	old=$(one_of "agent_id = 'other'") id=$(one_of "agent_id = 'nexus'") lines=$(lines)
	memory --command="BEGIN" --command="SELECT 1 FROM nexus_memory.zep_episodic_memory WHERE episode_id = '$old' FOR UPDATE" --command="SELECT pg_sleep(60)" --command=COMMIT >/dev/null 2>&1 &
	held=$!
	await 10 row_is_held "$old"
	nexus-purge --episode "$old" >"$work/run" 2>&1 &
	run=$!
	await 10 run_waits_for_the_row
	exits 75 'held by nexus-purge' nexus-purge --episode "$id"
	same "the answer" "$(ask_for nexus "$id")" forgotten
	kill -0 "$run"
	memory --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND pid <> pg_backend_pid()" >/dev/null
	wait "$held" || true
	wait "$run" || { cat "$work/run" && return 1; } >&2
	same "rows with these ids" "$(rows "episode_id IN ('$old', '$id')")" 0
	# Two decisions, and the end of the run's; the other stays open until the next run.
	same "lines" "$(lines)" "$((lines + 3))"
	nexus-purge --ledger >/dev/null
	nexus-purge --json >"$work/next"
	same "decisions that the next run finished" "$(jq '.finished >= 1' "$work/next")" true
}
run_waits_for_the_row() {
	[[ $(memory --command="SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nexus-purge' AND wait_event_type = 'Lock'") -ge 1 ]]
}

# Also with a deferred foreign key: otherwise the ledger would have a decision that can never be executed.
referring_rows_forbid_it() {
	local before id late
	for late in '' 'DEFERRABLE INITIALLY DEFERRED'; do
		id=$(one_of "agent_id = 'nexus'")
		memory --command="CREATE TABLE public.quote (episode uuid REFERENCES nexus_memory.zep_episodic_memory $late)" --command="INSERT INTO public.quote VALUES ('$id')"
		before="$(rows) $(lines)"
		same "the answer" "$(ask_for nexus "$id")" failed
		jq -e '.message | contains("rows of \"public\".\"quote\" refer to them")' "$work/answer" >/dev/null
		same "rows and lines" "$(rows) $(lines)" "$before"
		memory --command="DROP TABLE public.quote"
	done
}

many_at_once_are_all_forgotten() {
	local ids id lines
	lines=$(lines)
	mapfile -t ids < <(memory --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE agent_id = 'nexus' LIMIT 12")
	for id in "${ids[@]}"; do printf '{"v":1,"agent":"nexus","episode":"%s"}\n' "$id" | ask >"$work/answer-$id" & done
	wait
	for id in "${ids[@]}"; do same "the answer for $id" "$(jq -r .status "$work/answer-$id")" forgotten; done
	same "lines" "$(lines)" "$((lines + 12))"
	nexus-purge --ledger >/dev/null
}

a_stopped_server_is_reported() {
	local id before
	id=$(one_of "agent_id = 'nexus'")
	before="$(rows) $(lines)"
	docker stop nexus-redis >/dev/null
	same "the answer" "$(ask_for nexus "$id")" busy || { docker start nexus-redis && return 1; } >/dev/null
	docker start nexus-redis >/dev/null
	await 60 healthy
	jq -e '.message | contains("speaking to Redis")' "$work/answer" >/dev/null
	same "rows and lines" "$(rows) $(lines)" "$before"
}

# Like an attacker in nexus-api: as fast as possible, in turn and in parallel.
no_more_than_the_cap_are_forgotten_within_an_hour() {
	local ids id before lines all=() since
	set_to NEXUS_PURGE_HOURLY=5
	before=$(rows) lines=$(lines) since=$(date +%s)
	mapfile -t ids < <(memory --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE agent_id = 'nexus' LIMIT 20")
	for id in "${ids[@]:0:3}"; do same "the answer" "$(ask_for nexus "$id")" forgotten; done
	for id in "${ids[@]:3:8}"; do printf '{"v":1,"agent":"nexus","episode":"%s"}\n' "$id" | ask >"$work/answer-$id" & done
	wait
	for id in "${ids[@]:3:8}"; do all+=("$(jq -r .status "$work/answer-$id")"); done
	same "answers to eight at once" "$(printf '%s\n' "${all[@]}" | sort | uniq -c | awk '{ print $1, $2 }' | paste -sd' ')" '2 forgotten 6 too-many'
	for id in "${ids[@]:11}"; do same "the answer" "$(ask_for nexus "$id")" too-many; done
	jq -e '.message | startswith("5 episodes forgotten in the last hour reached the limit")' "$work/answer" >/dev/null
	same "rows and lines" "$(rows) $(lines)" "$((before - 5)) $((lines + 5))"
	last_line_says 'refused to forget an episode for nexus-api: 5 episodes'
	# The API's client gets the reason and a status for it.
	same "the API's answer" "$(curl --silent --request DELETE --output "$work/answer" --write-out '%{http_code}' "http://127.0.0.1:8003/memory/episode/${ids[19]}") $(jq -r .code "$work/answer")" '429 too_many_forgotten'
	# What the owner forgets does not count, and has no limit.
	nexus-purge --episode "${ids[19]}" 2>/dev/null
	same "rows after the owner's" "$(rows)" "$((before - 6))"
	nexus-health --json >"$work/health" || true
	same "the finding" "$(jq -r '.findings[] | select(.id == "forgetting") | .level' "$work/health")" critical
	# The service nexus-health reports it too.
	systemctl restart nexus-health
	await 90 the_owner_is_alerted "$since"
	set_to NEXUS_PURGE_HOURLY=1000000
	systemctl restart nexus-health
	same "the answer when more may be" "$(ask_for nexus "${ids[18]}")" forgotten
}
the_owner_is_alerted() { journalctl --identifier=nexus-alert --since="@$1" --output=cat NEXUS_PROBLEM=forgetting | found 'Programs asked NEXUS to forget 5 episodes in the last hour'; }

asked_over_the_socket() {
	check no_more_than_the_cap_are_forgotten_within_an_hour
	check forgets_at_once_what_the_agent_has
	check other_users_may_not_ask
	check nightly_run_finishes_it
	check what_is_no_request_does_nothing
	check a_held_lock_is_answered_with_busy
	check a_running_purge_delays_no_request
	check referring_rows_forbid_it
	check many_at_once_are_all_forgotten
	check a_stopped_server_is_reported
	check asked_for_stays_gone_after_a_restore
	check forgotten_while_a_restore_runs_stays_gone
}
