#!/usr/bin/env bash
# Tests nexus-restore-test inside an installed machine: it proves a good set, names damage of every kind, and leaves nothing behind.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"
here=$(dirname "${BASH_SOURCE[0]}")

work=$(mktemp -d)
proofs=$work/proofs
# The kernel keeps 15 characters of a process's name.
comm=nexus-restore-t
damage_sets=$work/sets
install -d -m 700 "$proofs" "$damage_sets"
trap 'rm -rf "$work"; docker exec nexus-postgres dropdb --if-exists --force to_prove' EXIT

nothing_is_left() {
	[[ -z $(docker ps --all --quiet --filter label=nexus.scratch) && -z $(docker volume ls --quiet --filter label=nexus.scratch) ]] &&
		! pgrep --exact "$comm"
}
proof_of() { printf '%s/%s.json' "$proofs" "${1%%-*}"; }

# ---- By systemd, with the machine's own data

the_unit_proves_the_newest_set() {
	local set proof
	redis SET mark:kept 1 >/dev/null
	redis HSET mark:hash a 1 b 2 >/dev/null
	redis SET mark:ends soon EX 100000 >/dev/null
	redis RPUSH mark:list x y z >/dev/null
	systemctl start nexus-backup
	set=$(newest)
	systemctl start nexus-restore-test
	proof=/var/lib/nexus/proofs/${set%%-*}.json
	same "the proof's set" "$(jq --raw-output .set "$proof")" "$set"
	same "its verdict" "$(jq .proven "$proof")" true
	nexus-restore show "$set" --json >"$work/manifest"
	same "its digests" "$(jq --compact-output '.tables | map({schema, table, rows, sha256})' "$proof")" \
		"$(jq --compact-output '.tables | map({schema, table, rows, sha256})' "$work/manifest")"
	same "its image" "$(jq --raw-output .image.image_id "$proof")" "$(docker inspect --format '{{.Image}}' nexus-postgres)"
	(($(jq '.counts["indexes checked with amcheck"]' "$proof") > 3))
	(($(jq '[.redis.databases[].by_type.string] | add' "$proof") >= 2))
	same "vector indexes that were searched" "$(jq --raw-output '.searches[].index' "$proof")" nexus_memory.zep_embedding_hnsw
	same "its owner and mode" "$(stat --format '%U %a' "$proof")" "nexus 640"
	nothing_is_left
}
# Without any proof it runs soon; afterwards only every month.
the_first_comes_soon_after_installation() {
	install -d "$work/aside"
	find /var/lib/nexus/proofs -name '*.json' -exec mv -t "$work/aside" {} +
	systemctl restart nexus-first-proof.timer
	same "without a proof the timer" "$(systemctl is-active nexus-first-proof.timer)" active
	systemctl list-timers --no-legend nexus-first-proof.timer | grep -E 'nexus-restore-test\.service'
	mv "$work"/aside/* /var/lib/nexus/proofs
	systemctl restart nexus-first-proof.timer
	same "with one it" "$(systemctl is-active nexus-first-proof.timer || true)" inactive
	same "the monthly timer" "$(systemctl is-active nexus-restore-test.timer)" active
}
the_journal_has_its_fields() {
	local line
	line=$(journalctl --unit=nexus-restore-test --output=json | jq --compact-output 'select(.MESSAGE_ID == "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a66")' | tail -n 1)
	same "the set" "$(jq --raw-output .NEXUS_BACKUP <<<"$line")" "$(newest)"
	(($(jq --raw-output .NEXUS_USEC <<<"$line") > 0))
}
the_list_says_when() { nexus-restore list | grep -E "^$(newest | cut -c1-6) .*20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8} UTC\$"; }

# ---- A database with an object of each kind, and damage to each

make_the_database() {
	docker exec nexus-postgres dropdb --if-exists --force to_prove
	docker exec nexus-postgres createdb to_prove
	docker exec -i nexus-postgres psql -Xq --set=ON_ERROR_STOP=1 --dbname=to_prove <<-'SQL'
		CREATE EXTENSION vector;
		CREATE SCHEMA m;
		CREATE TABLE m.episode (id int PRIMARY KEY, content text NOT NULL, embedding vector(8), tags text[]);
		INSERT INTO m.episode SELECT i, md5(i::text), ARRAY[sin(i), cos(i), sin(i * 2), cos(i * 3), sin(i * 5), cos(i * 7), sin(i * 11), 1]::vector, ARRAY['t' || i % 7]
			FROM generate_series(1, 2000) i;
		CREATE INDEX episode_hnsw ON m.episode USING hnsw (embedding vector_cosine_ops);
		CREATE INDEX episode_tags ON m.episode USING gin (tags);
		CREATE INDEX episode_content ON m.episode (content);
		CREATE TABLE m.note (id int REFERENCES m.episode, CHECK (id > 0));
		INSERT INTO m.note SELECT generate_series(1, 50);
		CREATE SEQUENCE m.s; SELECT nextval('m.s'), nextval('m.s') \g /dev/null
		CREATE VIEW m.tagged AS SELECT id FROM m.episode WHERE tags @> '{t1}';
		CREATE FUNCTION m.double(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
		ALTER TABLE m.note ENABLE ROW LEVEL SECURITY;
		CREATE POLICY mine ON m.note USING (id > 0);
		GRANT SELECT ON m.tagged TO nexus_app;
		SELECT lo_from_bytea(0, 'large') \g /dev/null
		-- The largest by far, without an index: while the test waits for it, the others can be damaged.
		CREATE TABLE m.gate AS SELECT repeat('x', 5000) AS x FROM generate_series(1, 400);
		ALTER TABLE m.gate ALTER x SET STORAGE PLAIN;
	SQL
	backup_of to_prove "$damage_sets" >/dev/null 2>&1
}

run_the_test() { NEXUS_PROOFS_DIR=${elsewhere:-$proofs} nexus-restore-test --backup-dir="$damage_sets" --jobs=1 "$@"; }
in_scratch() { docker exec -i --user 1879048999 nexus-scratch-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=restore_test "$@"; }

it_proves_itself() {
	run_the_test >"$work/said" 2>&1
	grep -q 'is proven' "$work/said"
	nothing_is_left
}

# The comparison takes the largest table first, and waits for it while another session has it locked. That session takes the lock as soon
# as the rows are in, does its damage once the test waits, and releases the lock.
damaged_by() {
	local sql=$1 wanted=$2 status=0 test program
	run_the_test >"$work/said" 2>&1 &
	test=$!
	program=$(process_of "$comm")
	halted "$program" in_scratch --command="SELECT 'm.gate'::regclass"
	NEXUS_TEST_HALTED=$program python3 "$here/gate.py" "$sql" >"$work/gate" 2>&1 || { cat "$work/gate" >&2 && wait "$test" && return 1; }
	wait "$test" || status=$?
	same "the exit status" "$status" 65
	grep -qF "$wanted" "$work/said" || { tail -n 3 "$work/said" >&2 && return 1; }
	same "the verdict" "$(jq .proven "$(proof_of "$(newest "$damage_sets")")")" false
	jq --raw-output .failure "$(proof_of "$(newest "$damage_sets")")" | found -F "$wanted"
	nothing_is_left
}

# Duplicate rows under a unique index, as a broken index permits. The error names the key's columns, but no value.
a_double_key_is_no_proof() {
	local status=0 set proofs=$work/doubted
	install -d "$proofs"
	docker exec nexus-postgres dropdb --if-exists --force to_doubt
	docker exec nexus-postgres createdb to_doubt
	doubt() { docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=to_doubt "$@"; }
	doubt --command="CREATE TABLE twice (id int PRIMARY KEY, mail text UNIQUE)" --command="INSERT INTO twice VALUES (1, 'secret')"
	doubt --command="UPDATE pg_index SET indisready = false WHERE indexrelid = 'twice_mail_key'::regclass"
	doubt --command="INSERT INTO twice VALUES (2, 'secret')"
	doubt --command="UPDATE pg_index SET indisready = true WHERE indexrelid = 'twice_mail_key'::regclass"
	backup_of to_doubt "$work/doubt" >/dev/null 2>&1
	docker exec nexus-postgres dropdb --force to_doubt
	set=$(newest "$work/doubt")
	NEXUS_PROOFS_DIR=$proofs nexus-restore-test --backup-dir="$work/doubt" >"$work/said" 2>&1 || status=$?
	same "the exit status" "$status" 65
	grep -qF 'table public.twice has duplicate rows for the key (mail) of the unique index twice_mail_key' "$work/said"
	same "the verdict" "$(jq --compact-output '[.set, .proven]' "$(proof_of "$set")")" "[\"$set\",false]"
	jq --raw-output .failure "$(proof_of "$set")" | found -F 'of the unique index twice_mail_key'
	! grep -r secret "$work/said" "$(proof_of "$set")"
}

# ---- Differences that are no damage

# PostgreSQL 17.12 stores an internal option of every column, which no dump contains.
not_damaged_by() {
	local test
	run_the_test >"$work/said" 2>&1 &
	test=$!
	await 60 in_scratch --command="SELECT 'm.gate'::regclass"
	python3 "$here/gate.py" "$1" >"$work/gate" 2>&1 || { cat "$work/gate" >&2 && wait "$test" && return 1; }
	wait "$test" || { tail -n 3 "$work/said" >&2 && return 1; }
	grep -q 'is proven' "$work/said"
	nothing_is_left
}

a_set_for_the_owner_only_is_reported() {
	local status=0
	age-keygen 2>/dev/null | grep '^AGE' >"$work/stranger"
	run_the_test --identity="$work/stranger" >"$work/said" 2>&1 || status=$?
	same "the exit status" "$status" 77
	grep -q 'It may still be whole' "$work/said"
	[[ ! -e $work/none.json ]]
}
two_at_once_are_refused() {
	local first status=0 program
	run_the_test >/dev/null 2>&1 &
	first=$!
	program=$(process_of "$comm")
	halted "$program" in_scratch --command='SELECT 1'
	run_the_test >"$work/said" 2>&1 || status=$?
	kill -CONT "$program"
	same "the exit status" "$status" 75
	wait "$first"
	# Proofs in another directory have another lock; nexus-docker has its own.
	status=0
	install -d "$work/elsewhere"
	exec 9</run/nexus-locks/throwaway
	flock --nonblock 9
	elsewhere=$work/elsewhere run_the_test >"$work/said" 2>&1 || status=$?
	exec 9<&-
	same "the exit status" "$status" 75
	grep -q 'another restore test' "$work/said"
	nothing_is_left
}
too_little_memory_is_reported() {
	local status=0
	NEXUS_RESTORE_TEST_MEMORY=65536 run_the_test >"$work/said" 2>&1 || status=$?
	same "the exit status" "$status" 75
	grep -q 'MiB are free' "$work/said"
}

# ---- Any process dies

# Kills one of the processes while all of them work.
kill_the() {
	local -a kill
	local program
	case $1 in
	test) kill=(pkill -KILL --exact "$comm") ;;
	helper) kill=(pkill -KILL --exact nexus-docker) ;;
	docker_cli) kill=(pkill -KILL --full '^docker run --rm --interactive --init --name nexus-scratch') ;;
	server) kill=(docker kill nexus-scratch-postgres) ;;
	term) kill=(pkill -TERM --exact "$comm") ;;
	esac
	run_the_test >/dev/null 2>&1 &
	program=$(process_of "$comm")
	halted "$program" in_scratch --command="SELECT 'm.gate'::regclass"
	NEXUS_TEST_HALTED=$program python3 "$here/gate.py" --run "${kill[@]}"
}
leaves_nothing_after() {
	kill_the "$1"
	await 30 nothing_is_left
	wait || true
	it_proves_itself
}
# At that time the leftovers of the dead one are still being removed.
another_may_follow_at_once() {
	kill_the "$1"
	wait || true
	it_proves_itself
}
leftovers_are_swept() {
	local image
	image=$(docker inspect --format '{{.Image}}' nexus-postgres)
	docker volume create --label nexus.scratch "$(printf '0%.0s' {1..64})" >/dev/null
	docker run --detach --name nexus-scratch-postgres --label nexus.scratch --network none --entrypoint sleep "$image" 1000 >/dev/null
	it_proves_itself
}

check the_unit_proves_the_newest_set
check the_first_comes_soon_after_installation
check the_journal_has_its_fields
check the_list_says_when
make_the_database
check it_proves_itself
check damaged_by "UPDATE m.episode SET content = 'x' WHERE id = 77" "m.episode: 2 000 rows"
check damaged_by "DELETE FROM m.note WHERE id = 7" "m.note: 49 rows"
check damaged_by "UPDATE m.episode SET embedding = (replace(embedding::text, ',1]', ',1.0000001]'))::public.vector WHERE id = 5" "m.episode: 2 000 rows"
check damaged_by "SELECT nextval('m.s')" '"m"."s"'
check damaged_by "SELECT lo_put(oid, 0, 'L') FROM pg_largeobject_metadata" "large object"
check damaged_by "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'm.episode_content'::regclass" "index m.episode_content is invalid"
check damaged_by "DROP INDEX m.episode_tags" "index m.episode_tags is missing"
check damaged_by "DROP VIEW m.tagged" "view m.tagged is missing"
check damaged_by "REVOKE SELECT ON m.tagged FROM nexus_app" "view m.tagged differs"
check damaged_by "CREATE OR REPLACE FUNCTION m.double(int) RETURNS int LANGUAGE sql AS 'SELECT \$1 * 3'" "function m.double(integer) differs"
check damaged_by "DROP POLICY mine ON m.note" "policy mine on m.note is missing"
check damaged_by "ALTER TABLE m.note DISABLE ROW LEVEL SECURITY" "table m.note differs"
check damaged_by "ALTER TABLE m.note DROP CONSTRAINT note_id_fkey" "constraint note_id_fkey on m.note is missing"
check damaged_by "ALTER ROLE nexus_app SUPERUSER" "role nexus_app differs"
check a_double_key_is_no_proof
check not_damaged_by "UPDATE pg_attribute SET attoptions = '{pg_attver=7}' WHERE attrelid = 'm.note'::regclass AND attnum = 1"
check a_set_for_the_owner_only_is_reported
check two_at_once_are_refused
check too_little_memory_is_reported
for who in test helper docker_cli server term; do check leaves_nothing_after "$who"; done
for who in test server term; do check another_may_follow_at_once "$who"; done
check leftovers_are_swept
report
