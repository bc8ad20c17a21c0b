#!/usr/bin/env bash
# Tests nexus-backup while other sessions alter tables: a successful set is complete, no session waits long for a backup, and no backup
# waits forever. Runs inside an installed machine. The other sessions act at chosen moments: while the backup waits for their lock, or
# while the test delays its pg_dump.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"

work=$(mktemp -d)
trap 'docker exec nexus-postgres dropdb --force --if-exists beside; rm -rf "$work"' EXIT

sql() { docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname="${database:-beside}" "$@"; }

fresh() {
	docker exec nexus-postgres dropdb --force --if-exists beside
	docker exec nexus-postgres createdb beside
	sql --command="CREATE TABLE gate (i int); INSERT INTO gate VALUES (1);
		CREATE TABLE changed AS SELECT i, i q, repeat('x', 100) t FROM generate_series(1, 1000) i;
		CREATE TABLE large AS SELECT i, repeat(md5(i::text), 10) t FROM generate_series(1, 20000) i"
}

# Opens a lasting session: `others SQL` returns when it is done.
others_come() { coproc OTHERS { docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=beside 2>&1; }; }
others() {
	local line
	printf '%s\n\\echo so-far\n' "$1" >&"${OTHERS[1]}"
	while read -r line <&"${OTHERS[0]}" && [[ $line != so-far ]]; do echo "others: $line" >&2; done
	[[ $line == so-far ]]
}
others_go() {
	printf '\\q\n' >&"${OTHERS[1]}"
	wait "$OTHERS_PID"
}

waits() { [[ $(sql --command="SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND application_name ~ '$1'") != 0 ]]; }

# Restores the newest set, and compares the copy with stock tools.
restored_is_what_is_there() {
	nexus-restore apply "$1/$(newest "$1")" --into beside_back --identity "$owner" --yes >/dev/null
	same "the restored tables" "$(contents beside_back)" "$(contents beside)"
	docker exec nexus-postgres dropdb beside_back
}

# while_backup_waits_for_the_gate SQL…: others lock the table gate, which the backup has listed, and commit SQL before they unlock it.
while_backup_waits_for_the_gate() {
	local backup directory=$work/gate
	rm -rf "$directory"
	fresh
	others_come
	others 'BEGIN; LOCK TABLE gate IN ACCESS EXCLUSIVE MODE;'
	backup_of beside "$directory" 2>"$work/said" &
	backup=$!
	await 30 waits '^nexus-backup$'
	sql --command="$1"
	others 'COMMIT;'
	wait "$backup"
	others_go
	restored_is_what_is_there "$directory"
}

# The others hold the lock, and their commit gives the table a new file.
while_others_hold() {
	local backup directory=$work/held
	rm -rf "$directory"
	fresh
	others_come
	others "BEGIN; $1;"
	backup_of beside "$directory" 2>"$work/said" &
	backup=$!
	await 30 waits '^nexus-backup$'
	others 'COMMIT;'
	wait "$backup"
	others_go
	restored_is_what_is_there "$directory"
}
rewritten_table_is_whole() { while_others_hold 'ALTER TABLE changed ALTER q TYPE bigint'; }
emptied_and_filled_table_is_whole() { while_others_hold "TRUNCATE changed; INSERT INTO changed SELECT i, i, 'new' FROM generate_series(1, 500) i"; }
dropped_table_is_no_panic() { while_others_hold 'DROP TABLE changed'; }
renamed_table_is_whole() { while_others_hold 'ALTER TABLE changed RENAME TO other; ALTER TABLE large ADD COLUMN more int DEFAULT 7'; }
exchanged_table_is_whole() { while_others_hold 'ALTER TABLE changed RENAME TO old; CREATE TABLE changed AS SELECT 1 AS only'; }
table_made_meanwhile_is_whole() {
	while_backup_waits_for_the_gate "CREATE TABLE late AS SELECT i FROM generate_series(1, 700) i; CREATE TABLE parent (k int) PARTITION BY LIST (k);
		CREATE TABLE leaf PARTITION OF parent FOR VALUES IN (1); INSERT INTO parent SELECT 1 FROM generate_series(1, 300)"
}

# A dry run tries once.
held_table_is_75_soon() {
	local said status=0 began=$SECONDS
	fresh
	others_come
	others 'BEGIN; LOCK TABLE changed IN ACCESS EXCLUSIVE MODE;'
	said=$(backup_of beside "$work/held" --dry-run 2>&1) || status=$?
	others 'COMMIT;'
	others_go
	same "the exit code ($said)" "$status" 75
	# The message names the session and the table.
	[[ $said =~ 'another session holds an exclusive lock on public.changed: server process '[0-9]+' of role postgres (psql), whose transaction began 00:0'[0-9]:[0-9]{2}' ago' ]]
	((SECONDS - began < 30))
}

held_for_a_while_is_tried_again() {
	local backup directory=$work/again
	fresh
	others_come
	others 'BEGIN; LOCK TABLE changed IN ACCESS EXCLUSIVE MODE;'
	backup_of beside "$directory" 2>"$work/said" &
	backup=$!
	await 60 grep -q 'next try in 3 s' "$work/said"
	same "leftover locks" "$(sql --command="SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nexus-backup'")" 0
	others 'COMMIT;'
	wait "$backup"
	others_go
	restored_is_what_is_there "$directory"
}

# The backup has the gate and waits for large; others have large and wait for the gate. The server ends the backup's wait, because its
# deadlock_timeout is shorter.
deadlock_is_tried_again() {
	local backup directory=$work/circle
	fresh
	sql --command="ALTER DATABASE beside SET deadlock_timeout = '5s'"
	others_come
	others "SET deadlock_timeout = '10min'; BEGIN; LOCK TABLE large IN ACCESS EXCLUSIVE MODE;"
	backup_of beside "$directory" 2>"$work/said" &
	backup=$!
	await 30 waits '^nexus-backup$'
	others 'LOCK TABLE gate IN ACCESS EXCLUSIVE MODE; COMMIT;'
	wait "$backup"
	others_go
	grep -q 'another session holds an exclusive lock.*next try in' "$work/said"
	restored_is_what_is_there "$directory"
}

# Makes pg_dump wait: until then the backup has its snapshot and locks, and copies rows.
held_dump() {
	printf '#!/bin/sh\nuntil [ -e %q ]; do sleep 0.1; done\nexec pg_dump "$@"\n' "$work/go" >"$work/held-dump"
	chmod 755 "$work/held-dump"
	rm -f "$work/go"
}
copying() { [[ -n $(find "$1" -path '*.partial/data/*' -size +0 2>/dev/null) ]]; }

nobody_waits_for_a_backup_for_long() {
	local backup alter directory=$work/way began
	fresh
	held_dump
	backup_of beside "$directory" --pg-dump="$work/held-dump" 2>"$work/said" &
	backup=$!
	await 30 copying "$directory"
	sql --command='ALTER TABLE changed ADD COLUMN more int DEFAULT 7' &
	alter=$!
	await 30 waits '^psql$'
	began=$SECONDS
	same "rows that another session reads meanwhile" "$(sql --command='SELECT count(*) FROM changed')" 1000
	wait "$alter"
	((SECONDS - began < 20)) || {
		echo "they waited for $((SECONDS - began)) s" >&2
		return 1
	}
	await 30 grep -q 'another session waits for the backup.s lock' "$work/said"
	touch "$work/go"
	wait "$backup"
	restored_is_what_is_there "$directory"
}

# Neither our LOCK TABLE nor pg_dump's has the view.
dump_that_waits_for_a_view_is_tried_again() {
	local backup directory=$work/view
	fresh
	sql --command='CREATE VIEW seen AS SELECT i FROM changed'
	others_come
	others 'BEGIN; ALTER VIEW seen SET (security_barrier = true); LOCK TABLE seen IN ACCESS EXCLUSIVE MODE;'
	backup_of beside "$directory" 2>"$work/said" &
	backup=$!
	await 60 grep -q 'next try in 3 s' "$work/said"
	others 'COMMIT;'
	wait "$backup"
	others_go
	restored_is_what_is_there "$directory"
}

# No lock holds these. pg_dump lists them in the snapshot, and has the server print them as they are now: a function without its type,
# a view of a function that has another name.
definitions_that_change_meanwhile_are_dumped_again() {
	local backup change directory=$work/definitions
	for change in 'DROP FUNCTION other(mood)' 'ALTER TYPE mood RENAME TO state' 'ALTER FUNCTION one() RENAME TO three' 'CREATE OR REPLACE VIEW seen AS SELECT two() AS i'; do
		rm -rf "$directory"
		fresh
		held_dump
		sql --command="CREATE TYPE mood AS ENUM ('a'); CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW seen AS SELECT one() AS i;
			CREATE FUNCTION other(mood) RETURNS mood LANGUAGE sql AS 'SELECT \$1'"
		backup_of beside "$directory" --pg-dump="$work/held-dump" 2>"$work/said" &
		backup=$!
		await 30 copying "$directory"
		sql --command="CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 2'" --command="$change"
		touch "$work/go"
		wait "$backup"
		grep -q 'dumping definitions: another session changed .* meanwhile' "$work/said"
		restored_is_what_is_there "$directory"
	done
}

# A sequence is reset after the snapshot, and advances after pg_dump has read it: the value in the archive counts.
sequence_that_began_again_comes_back() {
	local backup directory=$work/sequence
	fresh
	sql --command='CREATE SEQUENCE numbers CYCLE' --command="SELECT setval('numbers', 10)" >/dev/null
	rm -f "$work/go" "$work/dumped" "$work/end"
	# shellcheck disable=SC2016 # it expands when it runs
	printf '#!/bin/sh\nuntil [ -e %q ]; do sleep 0.1; done\npg_dump "$@"\nstatus=$?\ntouch %q\nuntil [ -e %q ]; do sleep 0.1; done\nexit $status\n' \
		"$work/go" "$work/dumped" "$work/end" >"$work/held-dump"
	chmod 755 "$work/held-dump"
	backup_of beside "$directory" --pg-dump="$work/held-dump" &
	backup=$!
	await 30 copying "$directory"
	sql --command="SELECT setval('numbers', 3)" >/dev/null
	touch "$work/go"
	await 30 test -e "$work/dumped"
	sql --command="SELECT setval('numbers', 12)" >/dev/null
	touch "$work/end"
	wait "$backup"
	nexus-restore apply "$directory/$(newest "$directory")" --into beside_back --identity "$owner" --yes >/dev/null
	same "the restored sequence" "$(database=beside_back sql --command='SELECT last_value FROM numbers')" 3
	docker exec nexus-postgres dropdb beside_back
}

check rewritten_table_is_whole
check emptied_and_filled_table_is_whole
check dropped_table_is_no_panic
check renamed_table_is_whole
check exchanged_table_is_whole
check table_made_meanwhile_is_whole
check held_table_is_75_soon
check held_for_a_while_is_tried_again
check deadlock_is_tried_again
check nobody_waits_for_a_backup_for_long
check dump_that_waits_for_a_view_is_tried_again
check definitions_that_change_meanwhile_are_dumped_again
check sequence_that_began_again_comes_back
report
