#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Tests nexus-embed in an installed machine with its model in /root/all-MiniLM-L6-v2: the socket, idle exit and restart, kills, damaged
# models, and the backfill. It removes all episodes: do not run it on a machine in use.
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/checks.sh"

clone=$here/../..
episodes=nexus_memory.zep_episodic_memory
queue=nexus_memory.embedding_queue
settings=/etc/nexus/nexus.env
models=/var/lib/nexus/models
model=$models/all-MiniLM-L6-v2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Passed as an argument, because the users that run it cannot read this clone.
asking=$(<"$here/embed/ask.py")

# ask USER COMMAND [ARGUMENT…]: runs tests/live/embed/ask.py as USER.
ask() { setpriv --reuid="$1" --regid="$(id --group "$1")" --clear-groups python3 -B -c "$asking" "${@:2}"; }
state_of() { systemctl show --value --property="$2" "$1"; }
is_running() { [[ $(state_of nexus-embed ActiveState) == active ]]; }
is_gone() { [[ $(state_of nexus-embed ActiveState) == inactive ]]; }
# No warning that the socket stays active: the next request must start the service again.
stop_it() { systemctl stop --no-warn nexus-embed; }
is_another() { is_running && [[ $(state_of nexus-embed MainPID) != "$1" ]]; }
restarts() { state_of nexus-embed NRestarts; }
set_setting() {
	sed -i "s|^$1=.*|$1=$2|" "$settings"
	stop_it
}
without_timer() { systemctl stop nexus-embed-backfill.timer nexus-embed-backfill.service; }
backfill() { nexus-embed --backfill "$@"; }

# ---- The service

a_request_starts_the_service() {
	stop_it
	is_gone
	same "the vector" "$(ask nexus-api one 'the cat sleeps on the warm roof' | cut --delimiter=" " --fields=1-4)" "all-MiniLM-L6-v2@53aa5117 384 1.0000 0.10"
	is_running
}
who_may_ask() {
	ask nexus one memory >/dev/null
	fails "Permission denied" ask nobody one memory
	same "the socket" "$(stat --format='%U %G %a' /run/nexus/embed.sock)" "nexus-api nexus 660"
}
wrong_requests_are_refused() { ask nexus-api refused; }
a_client_that_reads_no_answer_is_disconnected() { ask nexus-api unread; }
it_stays_small() {
	local pid own
	pid=$(state_of nexus-embed MainPID)
	own=$(awk '/^RssAnon/ { print int($2 / 1024) }' "/proc/$pid/status")
	((own < 64)) || {
		echo "it has $own MiB of its own" >&2
		return 1
	}
}
it_has_no_network_and_writes_nothing() {
	local pid
	pid=$(state_of nexus-embed MainPID)
	same "its interfaces" "$(nsenter --target "$pid" --net ip -brief link | awk '{ print $1 }')" lo
	# The range of systemd's dynamic users (systemd.exec(5)).
	(($(stat --format=%u "/proc/$pid") >= 61184))
	fails "Read-only" nsenter --target "$pid" --mount touch "$model/x"
}
# After a second without requests it exits, and the next request starts it again.
it_leaves_and_comes_back() {
	set_setting NEXUS_EMBED_IDLE 1s
	ask nexus-api one memory >/dev/null
	await 20 is_gone
	same "its exit" "$(state_of nexus-embed Result) $(state_of nexus-embed ExecMainStatus)" "success 0"
	ask nexus-api one memory >/dev/null
}
# For half a minute, sends requests just around the idle exit, on old and new connections: no request is lost.
no_request_is_lost_while_it_leaves() {
	set_setting NEXUS_EMBED_IDLE 1s
	ask nexus-api around 25
	set_setting NEXUS_EMBED_IDLE 5min
}
# Restarts it under many requests.
no_request_is_lost_by_a_restart() {
	ask nexus-api steadily 12 >"$work/steadily" &
	local client=$!
	for _ in 1 2 3; do
		await 20 is_running
		systemctl restart nexus-embed
	done
	wait "$client" || {
		cat "$work/steadily" >&2
		return 1
	}
}
# Kills it in the middle of a batch, repeatedly: clients that retry get the right vectors.
kills_lose_nothing() {
	local client killed=0
	# On a slow machine it restarts less often in that time.
	while ((killed < 3)); do
		ask nexus-api steadily 15 >"$work/steadily" &
		client=$!
		while kill -0 "$client" 2>/dev/null; do
			if systemctl kill --signal=KILL nexus-embed 2>/dev/null; then killed=$((killed + 1)); fi
			await 20 is_running
			sleep "0.$((RANDOM % 9))"
		done
		wait "$client" || {
			cat "$work/steadily" >&2
			return 1
		}
	done
}
a_flood_is_answered_or_refused() { ask nexus-api flood; }
# A member of the group nexus holds every connection, and announces requests that it never sends: the API's requests are answered.
one_user_leaves_room_to_others() {
	local input output process said
	set_setting NEXUS_EMBED_IDLE 5min
	coproc member { ask nexus hold 64; }
	# Bash forgets these at the end of the process.
	input=${member[1]} process=$!
	exec {output}<&"${member[0]}"
	read -r -t 60 said <&"$output"
	same "what the holder says" "$said" ready
	ask nexus-api undisturbed 10
	exec {input}>&-
	read -r -t 60 said <&"$output"
	wait "$process"
	((said < 64)) || { echo "it still has $said connections" >&2 && return 1; }
}
a_hung_service_is_ended_by_its_watchdog() {
	set_setting NEXUS_EMBED_IDLE 5min
	mkdir -p /run/systemd/system/nexus-embed.service.d
	# A stopped process reacts only to SIGKILL.
	printf '[Service]\nWatchdogSec=3\nTimeoutAbortSec=3\n' >/run/systemd/system/nexus-embed.service.d/test.conf
	systemctl daemon-reload
	ask nexus-api one memory >/dev/null
	local pid before
	pid=$(state_of nexus-embed MainPID)
	before=$(restarts)
	kill -STOP "$pid"
	await 60 is_another "$pid"
	ask nexus-api one memory >/dev/null
	((before < $(restarts)))
	rm -r /run/systemd/system/nexus-embed.service.d
	systemctl daemon-reload
	stop_it
}

check a_request_starts_the_service
check who_may_ask
check wrong_requests_are_refused
check a_client_that_reads_no_answer_is_disconnected
check it_has_no_network_and_writes_nothing
check it_leaves_and_comes_back
check no_request_is_lost_while_it_leaves
check no_request_is_lost_by_a_restart
check kills_lose_nothing
check a_flood_is_answered_or_refused
check one_user_leaves_room_to_others
check it_stays_small
check a_hung_service_is_ended_by_its_watchdog

# ---- Models

# refusal: prints its message when it cannot load the model.
refusal() { ask nexus-api one memory 2>&1 || true; }
is_refused() {
	stop_it
	local said
	said=$(refusal)
	[[ $said == *no_model* && $said == *"$1"* ]] || {
		echo "it said: $said" >&2
		return 1
	}
}
# Removes the model until the check ends, however it ends.
without_model() {
	mv "$model" "$work/away"
	trap with_model EXIT
}
with_model() {
	if [[ -e $work/away ]]; then mv -T "$work/away" "$model"; fi
	stop_it
}
a_missing_model_is_reported() {
	without_model
	is_refused "there is no config.json"
	# It checks again soon.
	await 30 is_gone
	with_model
	ask nexus-api one memory >/dev/null
}
damaged_models_are_refused() {
	cp -a "$model" "$work/whole"
	trap 'cp -a "$work/whole/." "$model"' EXIT
	truncate --size=-1 "$model/model.safetensors"
	is_refused "cut short"
	truncate --size=100 "$model/model.safetensors"
	is_refused "within its header"
	cp "$work/whole/model.safetensors" "$model/model.safetensors"
	flip "$model/model.safetensors" 50000000
	is_refused "SHA256SUMS says 53aa5117"
	cp "$work/whole/model.safetensors" "$model/model.safetensors"
	echo '{' >"$model/tokenizer.json"
	is_refused "tokenizer.json"
	cp "$work/whole/tokenizer.json" "$model/tokenizer.json"
	stop_it
	ask nexus-api one memory >/dev/null
}
install_takes_only_the_published_model() {
	cp -a /root/all-MiniLM-L6-v2 "$work/all-MiniLM-L6-v2"
	flip "$work/all-MiniLM-L6-v2/model.safetensors" 50000000
	fails "differ from the published" "$clone/install.sh" --bin-dir "$clone/bin" --yes --model "$work/all-MiniLM-L6-v2"
	rm "$work/all-MiniLM-L6-v2/model.safetensors"
	fails "has no model.safetensors" "$clone/install.sh" --bin-dir "$clone/bin" --yes --model "$work/all-MiniLM-L6-v2"
	fails "no such folder" "$clone/install.sh" --yes --model "$work/nothing"
	(cd "$model" && sha256sum --check --quiet SHA256SUMS)
	same "left behind" "$(find "$models" -mindepth 1 -maxdepth 1 ! -name all-MiniLM-L6-v2)" ""
}
# On a disk with room for nothing, then for a part of the model.
a_model_that_does_not_fit_is_refused() {
	local size
	mount -t tmpfs -o size=100m,mode=0755 tmpfs "$models"
	# --lazy: a request of the backfill may have started nexus-embed.
	trap 'umount --lazy "$models"; stop_it' EXIT
	stop_it
	for size in 100 300; do
		mount -o "remount,size=${size}m" "$models"
		exits 73 "does not fit: $models has $size MiB free, and 256 MiB must stay free" nexus-setup --yes --model /root/all-MiniLM-L6-v2
		exits 73 "needs 184 MiB: $models has $size MiB free, and 256 MiB must stay free" nexus-setup --yes --model download
		same "left behind" "$(find "$models" -mindepth 1)" ""
	done
	mount -o remount,size=400m "$models"
	exits 0 "the model all-MiniLM-L6-v2 is in $models/all-MiniLM-L6-v2" nexus-setup --yes --model /root/all-MiniLM-L6-v2
}

check a_missing_model_is_reported
check damaged_models_are_refused
check install_takes_only_the_published_model
check a_model_that_does_not_fit_is_refused

# ---- Missing vectors

waiting() { as_owner --command="SELECT count(*) FROM $queue WHERE state = 'waiting'"; }
missing() { as_owner --command="SELECT count(*) FROM $episodes WHERE embedding IS NULL"; }
# many NUMBER: inserts episodes of two agents, each with its own words.
many() {
	as_owner --command="DELETE FROM $episodes"
	more "$1"
}
more() {
	as_owner --command="INSERT INTO $episodes (content, agent_id)
		SELECT 'note ' || i || ': ' || (ARRAY['the cat sleeps', 'the bus was late', 'buy bread and milk', 'call mother on Sunday'])[1 + i % 4], 'agent-' || i % 2 FROM generate_series(1, $1) i"
}
# Every vector belongs to its text: a new vector of the text is nearest to it.
every_vector_is_its_own() {
	as_owner --command="COPY (SELECT content, embedding FROM $episodes ORDER BY md5(content) LIMIT 200) TO STDOUT" >"$work/rows"
	ask nexus-api own <"$work/rows"
}

episodes_without_a_vector_are_queued() {
	without_timer
	many 4
	same "waiting" "$(waiting)" 4
	as_owner --command="UPDATE $episodes SET embedding = (SELECT array_agg(1.0::real)::public.vector FROM generate_series(1, 384)), embedding_version = 'other' WHERE content LIKE 'note 1:%'"
	same "after a vector came" "$(waiting)" 3
	as_owner --command="UPDATE $episodes SET content = content || '!' WHERE content LIKE 'note 1:%'"
	same "after its text changed" "$(waiting)" 4
	as_owner --command="UPDATE $episodes SET embedding = NULL WHERE content LIKE 'note 1:%'"
	as_owner --command="DELETE FROM $episodes WHERE content LIKE 'note 2:%'"
	same "after one was forgotten" "$(waiting)" 3
	as_program --command="INSERT INTO $episodes (content) VALUES ('of a program')"
	same "a program's view of it" "$(as_program --command="SELECT count(*) FROM $queue")" 1
	fails "permission denied" as_program --command="DELETE FROM $queue"
	fails "permission denied" as_program --command="INSERT INTO $queue (episode_id, agent_id) SELECT episode_id, 'x' FROM $queue"
}
as_embedder() {
	local file=$work/passfile
	(umask 077 && printf '*:*:*:nexus_embed:%s\n' "$(<"$keys/nexus_embed_password")" >"$file")
	PGPASSFILE=$file psql -XAtq --set=ON_ERROR_STOP=1 --host=/run/nexus/postgres --username=nexus_embed --dbname=nexus "$@"
}
the_role_may_do_its_work_and_nothing_else() {
	same "the visible rows" "$(as_embedder --command="SELECT count(content) FROM $episodes")" 4
	for sql in "SELECT * FROM $episodes" "SELECT tags FROM $episodes" "UPDATE $episodes SET content = 'x'" "DELETE FROM $episodes" \
		"INSERT INTO $episodes (content) VALUES ('x')" "DELETE FROM $queue" "TRUNCATE $queue" "SELECT * FROM nexus_memory.migrations"; do
		fails "permission denied" as_embedder --command="$sql"
	done
	same "its attributes" "$(as_owner --command="SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname = 'nexus_embed'")" "f|f|f|f|f"
}
the_queue_is_emptied() {
	many 40
	same "the message" "$(backfill --json | jq --compact-output .)" '{"filled":40,"not_done":0,"waiting":0}'
	same "missing" "$(missing)" 0
	same "versions" "$(as_owner --command="SELECT DISTINCT embedding_version FROM $episodes")" all-MiniLM-L6-v2@53aa5117
	every_vector_is_its_own
}
# With some thousand rows, kills it and nexus-embed a dozen times at random moments.
kills_leave_every_row_its_vector() {
	many 3000
	local pid kills=0 rows=3000
	while ((kills < 12)); do
		# A fast machine finishes earlier.
		if (($(waiting) < 500)); then
			more 1000
			rows=$((rows + 1000))
		fi
		nexus-embed --backfill >/dev/null 2>&1 &
		pid=$!
		sleep "0.$((RANDOM % 7 + 2))"
		if ((kills % 3 == 2)); then systemctl kill --signal=KILL nexus-embed 2>/dev/null || true; fi
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		kills=$((kills + 1))
	done
	await 30 backfill
	same "missing" "$(missing)" 0
	same "waiting" "$(waiting)" 0
	same "rows" "$(as_owner --command="SELECT count(*) FROM $episodes")" "$rows"
	every_vector_is_its_own
}
the_timer_does_it_by_itself() {
	many 3
	systemctl start nexus-embed-backfill.timer
	await 120 test_missing_none
	same "its result" "$(state_of nexus-embed-backfill Result)" success
	without_timer
}
test_missing_none() { [[ $(missing) == 0 ]]; }
without_a_model_rows_wait() {
	many 3
	without_model
	stop_it
	fails "there is no config.json" backfill
	same "attempts" "$(as_owner --command="SELECT sum(attempts) FROM $queue")" 0
	with_model
	backfill
	same "missing" "$(missing)" 0
}
two_runs_do_not_meet() {
	many 300
	nexus-embed --backfill >/dev/null 2>&1 &
	local first=$!
	await 60 a_backfill_runs
	# Stopped, so that it does not finish before the other one begins.
	kill -STOP "$first"
	fails "another run is in progress" backfill
	kill -CONT "$first"
	wait "$first"
	same "missing" "$(missing)" 0
}
sessions() { as_owner --command="SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND $1"; }
a_backfill_runs() { [[ $(sessions "usename = 'nexus_embed' AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)") == 1 ]]; }
a_row_is_locked() { [[ $(sessions "query LIKE '%pg_sleep(300)%' AND wait_event = 'PgSleep'") == 1 ]]; }
a_row_that_is_locked_waits() {
	many 2
	as_owner --command="BEGIN; UPDATE $episodes SET importance_score = 1; SELECT pg_sleep(300)" >/dev/null 2>&1 &
	local holder=$!
	await 10 a_row_is_locked
	fails "lock timeout" backfill
	as_owner --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(300)%' AND wait_event = 'PgSleep'" >/dev/null
	wait "$holder" || true
	backfill
	same "missing" "$(missing)" 0
}
other_versions_are_found_and_queued() {
	many 5
	backfill
	as_owner --command="UPDATE $episodes SET embedding_version = 'older@00000000' WHERE content LIKE 'note 1:%' OR content LIKE 'note 2:%'"
	local status=0
	nexus-embed --check >"$work/check" || status=$?
	same "its exit" "$status" 65
	grep -qE '^ +3 all-MiniLM-L6-v2@53aa5117' "$work/check"
	grep -qE '^ +2 older@00000000' "$work/check"
	nexus-embed --check --requeue >/dev/null
	same "waiting" "$(waiting)" 2
	same "still with their vectors" "$(missing)" 0
	backfill
	nexus-embed --check >/dev/null
}
very_long_and_odd_texts_get_vectors() {
	as_owner --command="DELETE FROM $episodes" \
		--command="INSERT INTO $episodes (content) VALUES (''), (' '), (repeat('a', 1000000)), (repeat('long ', 200000)), (repeat('🙂', 100000)), (E'\\u0001\\u202e\\ufffe')"
	backfill
	same "missing" "$(missing)" 0
}

check episodes_without_a_vector_are_queued
check the_role_may_do_its_work_and_nothing_else
check the_queue_is_emptied
check kills_leave_every_row_its_vector
check the_timer_does_it_by_itself
check without_a_model_rows_wait
check two_runs_do_not_meet
check a_row_that_is_locked_waits
check other_versions_are_found_and_queued
check very_long_and_odd_texts_get_vectors
report
