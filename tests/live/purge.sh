#!/usr/bin/env bash
# Tests nexus-purge inside an installed machine: it deletes expired rows and nothing else, for every agent; forgotten rows do not come
# back with a backup; no file contains them any more; and a refusal changes nothing.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/restored.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/purge/asked.sh"

work=$(mktemp -d)
settings=/etc/nexus/nexus.env
cp -a "$settings" "$work/nexus.env"
trap 'cat "$work/nexus.env" >"$settings"; docker exec nexus-postgres dropdb --if-exists --force oblivion; rm -rf "$work" /var/lib/nexus/ledger/oblivion-*' EXIT

# Makes the test's own database like an installation, with three types, two agents, and old and young rows.
fill() {
	docker exec nexus-postgres dropdb --if-exists --force oblivion
	docker exec nexus-postgres createdb oblivion
	docker exec --env NEXUS_PG_DATABASE=oblivion nexus-postgres bash /nexus/migrate.sh
	memory --file=- <<-'SQL'
		INSERT INTO nexus_memory.zep_episodic_memory ("timestamp", content, tags, metadata, agent_id, embedding)
		SELECT now() - make_interval(days => i % 200), format('episode %s: %s', i, repeat(md5(i::text), 6)), ARRAY['t' || i % 50],
			CASE i % 4 WHEN 0 THEN '{"action_type": "conversation"}' WHEN 1 THEN '{"action_type": "observation"}' WHEN 2 THEN '{"action_type": "note"}' ELSE '{}' END::jsonb,
			CASE WHEN i % 3 = 0 THEN 'other' ELSE 'nexus' END,
			(SELECT array_agg((random() - 0.5)::real) FROM generate_series(1, 384) WHERE i > 0)::public.vector
		FROM generate_series(1, 4000) i;
	SQL
}
memory() { docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=oblivion "$@"; }
set_to() {
	local line
	for line; do sed -i "s|^${line%%=*}=.*|$line|" "$settings"; done
}
purge() { nexus-purge --json "$@" 2>"$work/said"; }
# Begins the test's own ledger, to spare the machine's. Earlier decisions must not apply to the rows that fill makes.
begin_ledger() {
	ledger=/var/lib/nexus/ledger/oblivion-$1.jsonl
	set_to NEXUS_PURGE_LEDGER="$ledger"
}
# Prints the number of rows of each type and agent, and the age of the oldest.
by_type() {
	memory --command="SELECT metadata->>'action_type', agent_id, count(*), max(date_part('day', now() - \"timestamp\")) FROM nexus_memory.zep_episodic_memory GROUP BY 1, 2 ORDER BY 1, 2"
}
rows() { memory --command="SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE ${1:-true}"; }
by_rule() { journalctl --output=json --unit=nexus-purge MESSAGE_ID=5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a70 --lines=1; }

unit_forgets_by_type_and_age_for_every_agent() {
	local kept past
	set_to 'NEXUS_TTL=conversation=90d, observation=30d, note=keep, *=150d' NEXUS_PURGE_MAX_SHARE=60
	past="coalesce(metadata->>'action_type' = 'conversation' AND \"timestamp\" < now() - interval '90 days' OR metadata->>'action_type' = 'observation' AND \"timestamp\" < now() - interval '30 days'
		OR metadata->>'action_type' IS NULL AND \"timestamp\" < now() - interval '150 days', false)"
	kept=$(memory --command="SELECT count(*), md5(string_agg(t::text, '' ORDER BY episode_id)) FROM nexus_memory.zep_episodic_memory t WHERE NOT $past")
	expected=$(rows "$past")
	((expected > 1000))
	systemctl start nexus-purge
	same "rows past their time" "$(rows "$past")" 0
	same "the rows that stay" "$(memory --command="SELECT count(*), md5(string_agg(t::text, '' ORDER BY episode_id)) FROM nexus_memory.zep_episodic_memory t")" "$kept"
	same "the agents that have rows" "$(memory --command='SELECT DISTINCT agent_id FROM nexus_memory.zep_episodic_memory ORDER BY 1' | tr '\n' ' ')" 'nexus other '
	same "rows in the journal" "$(by_rule | jq -r .NEXUS_ROWS)" "$expected"
	journalctl --catalog --unit=nexus-purge --lines=5 | found 'nexus-purge --ledger'
	same "open decisions" "$(nexus-purge --ledger --json | jq '[.[] | select(.rows == null)] | length')" 0
	same "owner and mode of the ledger" "$(stat -c '%U %a' "$ledger")" 'nexus 600'
	# Again: it has nothing to do, and writes no line.
	kept=$(wc -l <"$ledger")
	systemctl start nexus-purge
	same "lines of the ledger" "$(wc -l <"$ledger")" "$kept"
}

by_hand() {
	local id
	id=$(memory --command='SELECT episode_id FROM nexus_memory.zep_episodic_memory LIMIT 1')
	redis SET "episode:$id" copy >/dev/null
	redis SET "episode:other" stays >/dev/null
	same "rows by id" "$(purge --episode "$id" | jq '[.rows, .copies]' -c)" '[1,1]'
	same "its copy" "$(redis EXISTS "episode:$id")" 0
	same "another key" "$(redis GET episode:other)" stays
	redis DEL episode:other >/dev/null
	expected=$(rows "'t7' = ANY (tags)")
	((expected > 0))
	same "rows by tag" "$(purge --tag t7 | jq .rows)" "$expected"
	same "rows with it" "$(rows "'t7' = ANY (tags)")" 0
	expected=$(rows "agent_id = 'other' AND \"timestamp\" < now() - interval '120 days'")
	((expected > 0))
	same "rows of an agent" "$(purge --agent other --older-than 120d | jq .rows)" "$expected"
	expected=$(rows "\"timestamp\" < '$(date -u -d '-140 days' +%F)'")
	same "rows before a day" "$(purge --before "$(date -u -d '-140 days' +%F)" | jq .rows)" "$expected"
	# The ledger contains no personal data.
	same "ids and tags in the ledger" "$(grep -cE "$id|\"t7\"|\"other\"" "$ledger")" 0
}

# The file of a rewrite that began before a copy was deleted may hold it. Redis's child stands still until the copy is gone.
a_rewrite_in_progress_is_followed_by_another() {
	local id purge
	id=$(memory --command='SELECT episode_id FROM nexus_memory.zep_episodic_memory LIMIT 1')
	redis SET "episode:$id" copy >/dev/null
	# A second for each key, so that the child lives until it is stopped.
	redis CONFIG SET rdb-key-save-delay 1000000 >/dev/null
	redis BGREWRITEAOF >/dev/null
	await 10 pkill --signal STOP --full '^redis-aof-rewrite'
	redis CONFIG SET rdb-key-save-delay 0 >/dev/null
	purge --episode "$id" >"$work/purged.json" &
	purge=$!
	await 30 copy_is_gone "$id"
	pkill --signal CONT --full '^redis-aof-rewrite'
	wait "$purge"
	same "copies" "$(jq .copies "$work/purged.json")" 1
	same "files with the copy" "$(docker exec nexus-redis sh -c "grep -l 'episode:$id' appendonlydir/*.base.*" | wc -l)" 0
}
copy_is_gone() { [[ $(redis EXISTS "episode:$1") == 0 ]]; }

dry_run_writes_nothing() {
	local before
	before=$(sha256sum "$ledger")
	nexus-purge --dry-run --all | found '100 % of .* rows would be forgotten'
	nexus-purge --dry-run --type conversation --json | jq -e '.goes[0].type == "conversation" and .rows > 0 and .bytes > 0' >/dev/null
	same "the ledger" "$(sha256sum "$ledger")" "$before"
}

# Two sets: one older than all decisions, and one whose snapshot is older than a decision that was executed before the set was complete.
restored_set_forgets_again() {
	local id kept
	fill
	set_to NEXUS_TTL= NEXUS_PURGE_MAX_SHARE=60
	backup_of oblivion "$work/sets" 2>/dev/null
	set_to 'NEXUS_TTL=conversation=90d, observation=30d'
	systemctl start nexus-purge
	id=$(memory --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE metadata->>'action_type' = 'note' LIMIT 1")
	purge --episode "$id" >/dev/null
	purge --tag t9 >/dev/null
	kept=$(contents oblivion)
	nexus-restore apply 1 --backup-dir "$work/sets" --no-safety-backup --no-redis --yes --json >"$work/restored.json" 2>"$work/said"
	same "the restored content" "$(contents oblivion)" "$kept"
	expected=$(jq .forgotten "$work/restored.json")
	((expected > 1000))
	same "rows in the journal" "$(journalctl --output=json --identifier=nexus-restore MESSAGE_ID=5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a74 --lines=1 | jq -r .NEXUS_ROWS)" "$expected"
	# A decision by tag does not apply to later rows.
	memory --command="INSERT INTO nexus_memory.zep_episodic_memory (content, tags) VALUES ('new', '{t9}')"
	same "rows of a replay" "$(purge --replay --yes | jq .rows)" 0
	same "rows with the tag" "$(rows "'t9' = ANY (tags)")" 1
	docker exec nexus-postgres dropdb "$(jq -r .kept "$work/restored.json")"
}

# The Redis snapshot of an older set has copies of rows that were forgotten since, by rule and by id.
restored_redis_forgets_again() {
	local by_rule by_id stays
	fill
	by_rule=$(memory --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE tags @> '{t9}' LIMIT 1")
	by_id=$(memory --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE tags @> '{t8}' LIMIT 1")
	stays=$(memory --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE tags @> '{t7}' LIMIT 1")
	for id in "$by_rule" "$by_id" "$stays"; do redis SET "episode:$id" copy >/dev/null; done
	# Its row is gone before the set is made: only the ledger has its id.
	memory --command="DELETE FROM nexus_memory.zep_episodic_memory WHERE episode_id = '$by_id'"
	install -d -m 700 "$work/with-redis"
	nexus-backup --backup-dir="$work/with-redis" --redis=yes 2>/dev/null
	purge --tag t9 >/dev/null
	purge --episode "$by_id" >/dev/null
	same "removed copies" "$(redis EXISTS "episode:$by_rule" "episode:$by_id")" 0
	# The restore test sees both in the snapshot, and that a restore removes them.
	install -d -m 700 "$work/tested"
	nexus-restore-test 1 --backup-dir="$work/with-redis" --proofs-dir="$work/tested" --json >"$work/proof.json" 2>"$work/said"
	same "copies that the restore test took out" "$(jq '.counts["copies in Redis forgotten again"]' "$work/proof.json")" 2
	nexus-restore apply 1 --backup-dir "$work/with-redis" --no-safety-backup --yes --json >"$work/restored.json" 2>"$work/said"
	same "copies that came back" "$(redis EXISTS "episode:$by_rule" "episode:$by_id")" 0
	same "another copy" "$(redis GET "episode:$stays")" copy
	jq -e '.notes | any(contains("2 copies of forgotten episodes"))' "$work/restored.json" >/dev/null
	redis DEL "episode:$stays" >/dev/null
	drop_others
}

# A new machine has the set and the owner's key, but neither the ledger nor its key.
new_machine_forgets_too() {
	backup_of oblivion "$work/newer" 2>/dev/null
	install -d -m 700 "$work/keys" "$work/state"
	cp -a "$keys/postgres_password" "$work/keys"
	memory --command="CREATE TABLE public.was AS SELECT count(*) AS n FROM nexus_memory.zep_episodic_memory"
	NEXUS_CREDENTIALS=$work/keys nexus-restore apply "$work/newer/$(newest "$work/newer")" --identity "$owner" --purge-ledger "$work/state/ledger.jsonl" --no-safety-backup --no-redis --yes >/dev/null 2>"$work/said"
	same "the kept ledger" "$(sha256sum <"$work/state/ledger.jsonl")" "$(sha256sum <"$ledger")"
	same "its key" "$(<"$work/keys/ledger_key")" "$(<"$keys/ledger_key")"
	# The older set on that machine, which has the ledger of the newer set.
	NEXUS_CREDENTIALS=$work/keys nexus-restore apply "$work/sets/$(newest "$work/sets")" --identity "$owner" --purge-ledger "$work/state/ledger.jsonl" --no-safety-backup --no-redis --yes --json >"$work/restored.json" 2>"$work/said"
	(($(jq .forgotten "$work/restored.json") > 1000))
	drop_others
}
drop_others() {
	local name
	while read -r name; do docker exec nexus-postgres dropdb --force "$name"; done < <(server --command="SELECT datname FROM pg_database WHERE datname ~ '^oblivion '")
}

damaged_ledger_stops_everything() {
	cp -a "$ledger" "$work/ledger"
	sed -i '2s/"at":"20/"at":"21/' "$ledger"
	exits 65 'line 2: wrong MAC' nexus-purge --replay --yes
	exits 65 'line 2: wrong MAC' nexus-restore apply "$work/newer/$(newest "$work/newer")" --into oblivion_copy --identity "$owner"
	head -n -1 "$work/ledger" >"$ledger"
	exits 65 'lines are missing at its end' nexus-purge --ledger
	cat "$work/ledger" >"$ledger"
	nexus-purge --ledger >/dev/null
}

# Searches do not wait for it: its server process has the lowest CPU priority.
gives_way_to_others() {
	local locker purging
	docker exec nexus-postgres psql -XAtq --dbname=oblivion --command='BEGIN' --command='LOCK TABLE nexus_memory.zep_episodic_memory IN SHARE MODE' --command='SELECT pg_sleep(60)' >/dev/null 2>&1 &
	locker=$!
	await 10 memory --command="SELECT 1 / count(*) FROM pg_locks WHERE relation = 'nexus_memory.zep_episodic_memory'::regclass AND mode = 'ShareLock' AND granted"
	nexus-purge --older-than 1d --type observation --yes >/dev/null 2>&1 &
	purging=$!
	await 20 works_with_niceness 19 || { kill "$purging" && return 1; }
	kill "$purging"
	memory --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'" >/dev/null
	wait "$purging" "$locker" || true
}
works_with_niceness() { ps -eo ni=,args= | awk -v niceness="$1" '$1 == niceness && /[p]ostgres: .* oblivion \[local\]/ { found = 1 } END { exit !found }'; }

too_much_stops_with_75() {
	local before
	before=$(by_type)
	set_to 'NEXUS_TTL=*=1d' NEXUS_PURGE_MAX_SHARE=20
	exits 75 'more than NEXUS_PURGE_MAX_SHARE=20 %' nexus-purge
	fails '' systemctl start nexus-purge
	same "the rows" "$(by_type)" "$before"
	journalctl --output=json --unit=nexus-purge MESSAGE_ID=5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a72 --lines=1 | jq -e '.NEXUS_ROWS' >/dev/null
	exits 64 'There is no terminal to ask on' nexus-purge --all
	set_to NEXUS_TTL=
	systemctl reset-failed nexus-purge
}

an_unknown_type_gets_a_warning() {
	nexus-purge --ttl 'conversatoin=90d, note=keep' 2>&1 | found 'no row has the type conversatoin; the types are: conversation, note, observation'
}

referring_rows_are_named() {
	local id
	id=$(memory --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory LIMIT 1")
	memory --command="CREATE TABLE public.quote (n serial, episode uuid REFERENCES nexus_memory.zep_episodic_memory)" --command="INSERT INTO public.quote (episode) VALUES ('$id')"
	exits 65 'rows of "public"."quote" refer to them' nexus-purge --episode "$id"
	same "the row" "$(rows "episode_id = '$id'")" 1
	purge --episode "$id" --referring cascade >/dev/null
	same "the row and who referred" "$(rows "episode_id = '$id'")$(memory --command='SELECT count(*) FROM public.quote')" 00
	id=$(memory --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory LIMIT 1")
	memory --command="DROP TABLE public.quote" --command="CREATE TABLE public.quote (episode uuid REFERENCES nexus_memory.zep_episodic_memory ON DELETE SET NULL)" --command="INSERT INTO public.quote VALUES ('$id')"
	purge --episode "$id" >/dev/null
	same "who referred" "$(memory --command='SELECT count(*) FROM public.quote WHERE episode IS NULL')" 1
	memory --command="DROP TABLE public.quote"
}

old_pgvector_is_refused() {
	memory --command="UPDATE pg_extension SET extversion = '0.8.3' WHERE extname = 'vector'"
	exits 69 'pgvector is 0.8.3' nexus-purge --tag none
	nexus-purge --tag none --old-pgvector 2>/dev/null
	memory --command="UPDATE pg_extension SET extversion = '0.8.7' WHERE extname = 'vector'"
}

other_schemas_work() {
	memory --command="CREATE TABLE public.log (id bigint PRIMARY KEY, at date, kind text)" \
		--command="INSERT INTO public.log SELECT i, current_date - i, 'k' || i % 2 FROM generate_series(1, 100) i"
	purge --table public.log --key-column id --time-column at --type-column kind --ttl 'k1=50d' --yes >/dev/null
	same "rows left" "$(memory --command="SELECT kind, count(*), max(id) FROM public.log GROUP BY 1 ORDER BY 1" | tr '\n' ' ')" 'k0|50|100 k1|25|49 '
	exits 78 'has no column nope' nexus-purge --table public.log --key-column id --time-column nope
	exits 78 'has no such table' nexus-purge --table public.nope
	purge --table public.log --key-column id --time-column at --type-column kind --episode 4 >/dev/null
	same "rows left" "$(memory --command="SELECT count(*) FROM public.log")" 74
	memory --command="DROP TABLE public.log"
}

# It compares what the vector index finds before and after, on rows that others may delete meanwhile.
a_row_deleted_meanwhile_is_harmless() {
	local held run
	memory --command="CREATE TABLE public.three (id integer PRIMARY KEY, at timestamptz DEFAULT now(), kind text, v public.vector(3))" \
		--command="INSERT INTO public.three (id, v) SELECT i, format('[%s,1,0]', i)::public.vector FROM generate_series(1, 3) i" --command="CREATE INDEX ON public.three USING hnsw (v public.vector_cosine_ops)"
	memory --command=BEGIN --command="SELECT 1 FROM public.three WHERE id = 1 FOR UPDATE" --command="SELECT pg_sleep(60)" >/dev/null 2>&1 &
	held=$!
	await 10 memory --command="SELECT 1 / count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"
	nexus-purge --table public.three --key-column id --time-column at --type-column kind --episode 1 --yes >"$work/run" 2>&1 &
	run=$!
	await 10 run_waits_for_the_row
	memory --command="DELETE FROM public.three WHERE id = 2"
	memory --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'" >/dev/null
	wait "$held" || true
	wait "$run" || { cat "$work/run" && return 1; } >&2
	same "the rows that stay" "$(memory --command='SELECT id FROM public.three')" 3
	memory --command="DROP TABLE public.three"
}

redis_keys_get_a_time_to_live() {
	redis SET 'session:a' 1 >/dev/null
	redis SET 'session:b' 1 EX 50 >/dev/null
	redis SET 'sessions' 1 >/dev/null
	same "keys given an end" "$(purge --redis-ttl 'session:=1h' | jq .keys_given_an_end)" 1
	(($(redis TTL session:a) > 3500 && $(redis TTL session:b) <= 50 && $(redis TTL sessions) == -1))
	redis DEL session:a session:b sessions >/dev/null
}

# A sentence that was in a row, in Redis and in the log; a word of it, and a tag, that were in indexes.
no_file_holds_it_any_more() {
	local id data redis_data sentence='the sentence of the xylograviton that nobody must find again' tag=taggraviton files kept index
	data=$(docker volume inspect --format '{{.Mountpoint}}' nexus_postgres_data)
	redis_data=$(docker volume inspect --format '{{.Mountpoint}}' nexus_redis_data)
	fill
	memory --command="INSERT INTO nexus_memory.zep_episodic_memory (content, tags, metadata, \"timestamp\") SELECT '$sentence, ' || i, '{$tag}', '{\"action_type\": \"secret\"}', now() - interval '9 days' FROM generate_series(1, 300) i"
	# One between rows that stay, and one so long that TOAST stores it.
	memory --command="UPDATE nexus_memory.zep_episodic_memory SET content = '$sentence', metadata = '{\"action_type\": \"secret\"}' WHERE tags && '{t3,t13,t23}' AND \"timestamp\" < now() - interval '8 days'" \
		--command="UPDATE nexus_memory.zep_episodic_memory SET content = (SELECT string_agg(CASE j WHEN 40 THEN '$sentence' ELSE md5(episode_id::text || j) END, ' ') FROM generate_series(1, 150) j), metadata = CASE WHEN tags && '{t33}' THEN metadata ELSE '{\"action_type\": \"secret\"}' END WHERE tags && '{t33,t43}' AND \"timestamp\" < now() - interval '8 days'" \
		--command="UPDATE nexus_memory.zep_episodic_memory SET content = replace(content, '$sentence', 'another') WHERE tags && '{t33}'" --command=VACUUM
	expected=$(rows "metadata->>'action_type' = 'secret'")
	((expected > 500))
	kept=$(memory --command="SELECT count(*), md5(string_agg(t::text, '' ORDER BY episode_id)) FROM nexus_memory.zep_episodic_memory t WHERE metadata->>'action_type' IS DISTINCT FROM 'secret'")
	memory --command='ANALYZE' --command='CHECKPOINT'
	id=$(memory --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE content ~ '$sentence' LIMIT 1")
	redis SET "episode:$id" "\"$sentence\"" >/dev/null
	# The control: the sentence is in the files before the purge.
	grep -rqa "$sentence" "$data" && grep -rqa "$sentence" "$redis_data"
	for index in zep_words:xylograviton zep_tags:$tag; do
		grep -qa "${index#*:}" "$data/18/docker/$(memory --command="SELECT pg_relation_filepath('nexus_memory.${index%:*}')")"
	done
	purge --type secret --older-than 7d --yes >"$work/done.json"
	same "rows" "$(jq .rows "$work/done.json")" "$expected"
	((0 < $(jq .overwritten "$work/done.json")))
	# All indexes, because more than a tenth of the rows went.
	same "rebuilt indexes" "$(jq .reindexed "$work/done.json")" "$(indexes)"
	same "the rows that stay" "$(memory --command="SELECT count(*), md5(string_agg(t::text, '' ORDER BY episode_id)) FROM nexus_memory.zep_episodic_memory t")" "$kept"
	files=$(grep -rlaE "xylograviton|$tag" "$data" "$redis_data" || true)
	same "files of the servers that hold it" "$files" ""
	install -d -m 700 "$work/after"
	nexus-backup --backup-dir="$work/after" --redis=yes 2>/dev/null
	for file in "$work/after/$(newest "$work/after")"/{,data/}*.age; do
		age -d -i "$owner" "$file" >"$work/file"
		if [[ $file == *.zst.age ]]; then zstd -dqf "$work/file" -o "$work/plain"; else mv "$work/file" "$work/plain"; fi
		! grep -qaE "xylograviton|$tag" "$work/plain" || { echo "$file holds it" >&2 && return 1; }
	done
}

# Prints the number of the episodes' indexes.
indexes() { memory --command="SELECT count(*) FROM pg_index WHERE indrelid = 'nexus_memory.zep_episodic_memory'::regclass"; }

# A run that was killed while it rebuilt an index leaves an invalid one.
what_a_killed_run_left_of_an_index_goes() {
	local before
	before=$(indexes)
	memory --command="CREATE INDEX zep_words_ccnew ON nexus_memory.zep_episodic_memory (episode_id)" --command="UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'nexus_memory.zep_words_ccnew'::regclass"
	purge --episode "$(memory --command='SELECT episode_id FROM nexus_memory.zep_episodic_memory LIMIT 1')" >/dev/null
	same "indexes" "$(memory --command="SELECT count(*), bool_and(indisvalid) FROM pg_index WHERE indrelid = 'nexus_memory.zep_episodic_memory'::regclass")" "$before|t"
}

ledger_says_when_the_last_backup_goes() {
	local set
	nexus-purge --ledger --backup-dir "$work/sets" --json >"$work/ledger.json"
	set=$(newest "$work/sets")
	# The newest decision was executed after that set. Rotation removes a set after NEXUS_KEEP_DAYS, but the newest proven one only
	# once a newer one is proven.
	jq -e --arg set "$set" 'last | .last_backup == $set and (.gone | test("^20[0-9-]{8}, once a newer set is proven"))' "$work/ledger.json" >/dev/null
	nexus-purge --ledger --backup-dir "$work/sets" | found "last backup with it"
}

second_of_the_last_line_is_over() { (($(date +%s) > $(date --date="$(tail -n 1 "$ledger" | jq -r .at)" +%s))); }
expunge_brings_it_forward() {
	local newer
	exits 75 'there would be no backup left' nexus-purge --expunge --backup-dir "$work/sets" --yes
	install -d "$work/proofs"
	# Set names have whole seconds, and a set of the same second counts as older than the line.
	await 5 second_of_the_last_line_is_over
	backup_of oblivion "$work/sets" 2>/dev/null
	newer=$(newest "$work/sets")
	printf '{"format": 1, "set": "%s", "proven": true, "at": "2026-01-01T00:00:00Z"}' "$(sets "$work/sets" | head -n 1)" >"$work/proofs/000001.json"
	exits 64 'is the only one that a restore has proven' nexus-purge --expunge --backup-dir "$work/sets" --proofs-dir "$work/proofs"
	nexus-purge --expunge --dry-run --backup-dir "$work/sets" | found 'would be removed: 000001-'
	nexus-purge --expunge --backup-dir "$work/sets" --proofs-dir "$work/proofs" --yes 2>/dev/null
	same "the sets left" "$(sets "$work/sets")" "$newer"
	same "the ledger's entry" "$(nexus-purge --ledger --backup-dir "$work/sets" --json | jq -r 'last | .gone')" 'no backup holds it'
}

stopped_servers_are_69() {
	trap 'docker start nexus-redis nexus-postgres >/dev/null' EXIT
	docker stop nexus-redis >/dev/null
	exits 69 'speaking to Redis' nexus-purge
	docker start nexus-redis >/dev/null
	docker stop nexus-postgres >/dev/null
	exits 69 'systemctl status nexus-stack' nexus-purge
	docker start nexus-postgres >/dev/null
	await 60 healthy
}

set_to NEXUS_PG_DATABASE=oblivion
begin_ledger 1
fill
check unit_forgets_by_type_and_age_for_every_agent
check by_hand
check a_rewrite_in_progress_is_followed_by_another
check dry_run_writes_nothing
begin_ledger 2
check restored_set_forgets_again
check new_machine_forgets_too
check restored_redis_forgets_again
check damaged_ledger_stops_everything
check too_much_stops_with_75
check an_unknown_type_gets_a_warning
check referring_rows_are_named
check old_pgvector_is_refused
check other_schemas_work
check a_row_deleted_meanwhile_is_harmless
check redis_keys_get_a_time_to_live
check no_file_holds_it_any_more
check what_a_killed_run_left_of_an_index_goes
check ledger_says_when_the_last_backup_goes
check expunge_brings_it_forward
begin_ledger 3
fill
set_to NEXUS_TTL= NEXUS_PURGE_MAX_SHARE=20
asked_over_the_socket
check gives_way_to_others
check stopped_servers_are_69
report
