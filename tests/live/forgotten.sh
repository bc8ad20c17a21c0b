#!/usr/bin/env bash
# Tests forgotten rows after a restore and an undo, inside an installed machine: the right ledger and keys are in place, no forgotten row
# comes back, no other row is lost, and no file contains them. Needs the owner's identity.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/restored.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lethe.sh"

trap 'rm -rf "$work"; drop_all lethe' EXIT

# Machine B forgot everything, then got new rows, which are in a set. Machine A has other rows, and its own ledger.
two_machines() {
	machine b
	fill 1 100 goes
	purge --all --yes 2>/dev/null
	memory --command="INSERT INTO episode SELECT i, now(), 'b', '{}', 'b', 'of b' FROM generate_series(1, 50) i"
	backup
	machine a
	fill 1 200 a
	purge --episode 200 2>/dev/null
	lethe >"$work/before"
}
# Prints a digest of the machine's ledger, keys and rows.
lethe() {
	sha256sum <"$ledger"
	sha256sum <"$NEXUS_CREDENTIALS/ledger_key"
	memory --command="SELECT kind, count(*), md5(string_agg(e::text, '' ORDER BY id)) FROM episode e GROUP BY 1 ORDER BY 1"
}
rows() { memory --command="SELECT count(*) FROM episode WHERE ${1:-true}"; }
open() { purge --ledger --json | jq '[.[] | select(.rows == null)] | length'; }

# The safety backup is the last step that can fail before the swap; nexus-restore runs the nexus-backup beside it.
restore_that_fails_leaves_ledger_and_keys() {
	two_machines
	install -d "$work/bin"
	cp "$(type -P nexus-restore)" "$work/bin"
	printf '#!/bin/sh\ncase "$*" in *--dry-run*) echo "{\\"fits\\": true}" ;; *) echo "nexus-backup: no" >&2; exit 74 ;; esac\n' >"$work/bin/nexus-backup"
	chmod +x "$work/bin/nexus-backup"
	exits 74 'backing up the live database' apply_with "$work/bin/nexus-restore" b --yes
	same "ledger, keys and rows" "$(lethe)" "$(<"$work/before")"
	purge 2>/dev/null
	same "ledger, keys and rows after the next nexus-purge" "$(lethe)" "$(<"$work/before")"
}

undo_returns_ledger_and_keys() {
	two_machines
	apply b --no-safety-backup --yes
	same "rows of b" "$(rows "kind = 'b'")" 50
	same "keys" "$(wc -l <"$NEXUS_CREDENTIALS/ledger_key")" 2
	# The ledger now has b's decisions as done, so none of them runs at night.
	purge --ledger --json | jq -e 'any(.[]; .what | startswith("all until"))' >/dev/null
	purge 2>/dev/null
	same "rows of b after a night" "$(rows "kind = 'b'")" 50
	# The row is in both databases, and is forgotten while the other database is live.
	purge --episode 7 2>/dev/null
	undo >"$work/said"
	grep -q '1 row that had been forgotten since' "$work/said"
	same "rows" "$(rows) $(rows 'id IN (7, 200)')" '198 0'
	same "the keys" "$(sha256sum <"$NEXUS_CREDENTIALS/ledger_key")" "$(sed -n 2p "$work/before")"
	purge --ledger --json | jq -e 'all(.[]; .what | startswith("all") | not)' >/dev/null
	same "rows of the next nexus-purge" "$(purge --json 2>/dev/null | jq .rows)" 0
	same "rows after it, and open decisions" "$(rows) $(open)" '198 0'
	# Forward again: to b's database, with its ledger and keys, and without what was forgotten.
	undo >/dev/null
	same "rows of b" "$(rows "kind = 'b'") $(rows 'id = 7')" '49 0'
	same "keys" "$(wc -l <"$NEXUS_CREDENTIALS/ledger_key")" 2
	purge --ledger --json | jq -e 'any(.[]; .what | startswith("all until"))' >/dev/null
	# Dropping a kept database also removes its ledger.
	nexus-restore drop-kept "$(databases_of 'lethe undone')" --pg-database lethe --purge-ledger "$ledger" --yes >/dev/null
	same "kept ledgers" "$(find "${ledger%.jsonl}.kept" "$NEXUS_CREDENTIALS" -type f -name '*kept*' -o -path '*.kept/*')" ''
}

another_machines_ledger_needs_consent() {
	two_machines
	exits 64 "it is another machine's" apply b --no-safety-backup
	docker exec nexus-postgres dropdb lethe
	exits 64 "it is another machine's" apply b --no-safety-backup
	# For its own set the only question is whether to replace the database.
	fill 1 10 a
	backup
	! apply a --no-safety-backup 2>&1 | grep -q "another machine's"
}

# The decisions of this machine cover a large part of another machine's set.
a_large_share_needs_consent() {
	machine b
	fill 1 100 goes
	backup
	machine a
	fill 1 100 goes
	purge --type goes --yes 2>/dev/null
	memory --command="INSERT INTO episode SELECT i, now(), 'a', '{}', 'a', 'of a' FROM generate_series(1001, 1100) i"
	backup
	lethe >"$work/before"
	fails 'The purge ledger forgets 100 rows of public.episode again, out of 100' on_a_terminal no apply_as_is b
	same "ledger, keys and rows" "$(lethe)" "$(<"$work/before")"
}
# Types yes to the first question, and then $1.
on_a_terminal() { printf 'yes\n%s\n' "$1" | script --quiet --return --command "$(printf '%q ' bash -c "$(declare -f apply_as_is); apply_as_is $3")" /dev/null; }
apply_as_is() {
	nexus-restore apply "$work/$1/sets/"*/ --pg-database lethe --backup-dir "$work/$1/sets" --purge-ledger "$ledger" --identity "$owner" --no-redis --no-safety-backup
}

# No run of this machine has measured the decisions, because the ledger comes from elsewhere.
open_decisions_are_measured() {
	machine a
	fill 1 100 goes
	purge --type goes --yes 2>/dev/null
	# The first decision records a person's consent, which holds only on that machine. The third has none, and stays open below.
	jq -e '.decision.agreed' <<<"$(head -n 1 "$ledger")" >/dev/null
	fill 1 100 goes
	memory --command="INSERT INTO episode SELECT i, now(), 'a', '{}', 'a', 'of a' FROM generate_series(1001, 1100) i"
	purge --type goes --max-share 60 2>/dev/null
	{ sed -n 3p "$ledger"; } >"$work/line"
	jq -e '.decision and (.decision.agreed | not)' "$work/line" >/dev/null
	head -n 3 "$ledger" >"$work/cut"
	cat "$work/cut" >"$ledger"
	printf '[{"lines":3,"mac":"%s"}]' "$(tail -n 1 "$ledger" | jq -r .mac)" >"${ledger%.jsonl}.head"
	memory --command="INSERT INTO episode SELECT i, now() - interval '2 days', 'goes', '{}', 'a', 'came back' FROM generate_series(1, 100) i"
	exits 75 'decisions that are already in the ledger would delete 100 rows of public.episode (50 %)' purge
	same "rows" "$(rows)" 200
	exits 75 'nexus-purge --replay --yes' purge --replay
	same "rows" "$(rows)" 200
	purge --yes 2>/dev/null
	same "rows, and open decisions" "$(rows) $(open)" '100 0'
}

replay_is_idempotent() {
	local lines
	machine a
	fill 1 100 a
	memory --command="CREATE TABLE copy AS SELECT * FROM episode"
	purge --episode 3 2>/dev/null
	lines=$(wc -l <"$ledger")
	# Replaces the database by an older copy, without NEXUS.
	memory --command="INSERT INTO episode SELECT * FROM copy WHERE id = 3"
	same "rows of a replay" "$(purge --replay --json 2>/dev/null | jq .rows)" 1
	same "rows of another" "$(purge --replay --json 2>/dev/null | jq .rows)" 0
	same "lines of the ledger" "$(wc -l <"$ledger")" "$lines"
	memory --command="INSERT INTO episode SELECT * FROM copy WHERE id = 3"
	same "rows of one since tomorrow" "$(purge --replay --since "$(date -u -d tomorrow +%F)" --json 2>/dev/null | jq .rows)" 0
	same "rows of one since yesterday" "$(purge --replay --since "$(date -u -d yesterday +%F)" --json 2>/dev/null | jq .rows)" 1
}

# The owner's tables, three deep, with PostgreSQL's default rule.
with_tables_that_refer() {
	machine a
	fill 1 100 a
	memory --command="CREATE TABLE quote (id bigint PRIMARY KEY, episode bigint REFERENCES episode, text text)" \
		--command="CREATE TABLE remark (id bigint PRIMARY KEY, quote bigint NOT NULL REFERENCES quote, text text)" \
		--command="CREATE TABLE star (remark bigint REFERENCES remark ON DELETE SET NULL, id bigint)" \
		--command="INSERT INTO quote SELECT i, i, 'q' FROM generate_series(1, 10) i" \
		--command="INSERT INTO remark SELECT i, i, 'r' FROM generate_series(1, 10) i" \
		--command="INSERT INTO star SELECT i, i FROM generate_series(1, 10) i"
	backup
	# When it was forgotten, no row referred to it any more.
	memory --command="DELETE FROM star WHERE remark = 5" --command="DELETE FROM remark WHERE id = 5" --command="DELETE FROM quote WHERE id = 5"
	purge --episode 5 2>/dev/null
}
referring_rows_follow_the_setting() {
	with_tables_that_refer
	exits 65 'rows of "public"."quote" refer to them' apply a --no-safety-backup --yes
	apply a --no-safety-backup --yes --referring set-null --json >"$work/done.json"
	same "rows" "$(rows) $(memory --command="SELECT count(*), count(episode) FROM quote") $(memory --command="SELECT count(*) FROM remark")" '99 10|9 10'
	same "the message" "$(jq -c .referring "$work/done.json")" '[{"table":"\"public\".\"quote\"","deleted":0,"emptied":1}]'
	jq -e '.notes | any(contains("\"quote\" that referred to forgotten rows: 0 deleted, 1 kept"))' "$work/done.json" >/dev/null
	with_tables_that_refer
	apply a --no-safety-backup --yes --referring cascade --json >"$work/done.json"
	same "rows" "$(rows) $(memory --command="SELECT (SELECT count(*) FROM quote), (SELECT count(*) FROM remark), (SELECT count(remark) FROM star), (SELECT count(*) FROM star)")" '99 9|9|9|10'
	same "the message" "$(jq -c '[.referring[] | .deleted, .emptied]' "$work/done.json")" '[1,0,1,0,0,1]'
	# The live table, by the same rule; a NOT NULL column stops it.
	exits 65 'rows of "public"."quote" refer to them' purge --episode 6
	purge --episode 6 --referring set-null 2>/dev/null
	memory --command="UPDATE quote SET episode = 7 WHERE id = 7" --command="ALTER TABLE quote ADD CHECK (id <> 7 OR episode IS NOT NULL)" --command="DELETE FROM quote WHERE episode IS NULL AND NOT EXISTS (SELECT FROM remark WHERE quote = quote.id)" --command="DELETE FROM remark WHERE quote IN (SELECT id FROM quote WHERE episode IS NULL)" --command="DELETE FROM quote WHERE episode IS NULL" --command="ALTER TABLE quote ALTER episode SET NOT NULL"
	exits 65 'rows of "public"."quote" refer to them' purge --episode 7 --referring set-null
	purge --episode 7 --referring cascade --json 2>/dev/null >"$work/done.json"
	same "the message" "$(jq -c '[.referring[] | .deleted]' "$work/done.json")" '[1,1,0]'
	same "the row, and who referred" "$(rows 'id = 7')$(memory --command="SELECT count(*) FROM quote WHERE id = 7")$(memory --command="SELECT count(*) FROM remark WHERE id = 7")" 000
}
# A table that refers to itself, in a ring, and twice.
rings_end() {
	machine a
	fill 1 10 a
	memory --command="CREATE TABLE ring (id bigint PRIMARY KEY, next bigint REFERENCES ring DEFERRABLE INITIALLY DEFERRED, one bigint REFERENCES episode, two bigint REFERENCES episode)" \
		--command="INSERT INTO ring VALUES (1, 2, 1, NULL), (2, 3, NULL, NULL), (3, 1, NULL, NULL), (4, 4, 2, 2)"
	purge --episode 2 --referring set-null 2>/dev/null
	same "who referred twice" "$(memory --command="SELECT count(*) FROM ring WHERE id = 4 AND one IS NULL AND two IS NULL")" 1
	purge --episode 1 --referring cascade 2>/dev/null
	same "the ring" "$(memory --command="SELECT array_agg(id) FROM ring")" '{4}'
}

# The sentence is in the rows of the set, in an index of words, and in the planner's statistics.
no_file_holds_what_a_restore_forgot_again() {
	local data sentence='the sentence of the quillomander that nobody must find again'
	machine a
	fill 1 2000 a
	memory --command="CREATE INDEX words ON episode USING gin (to_tsvector('simple', text))" \
		--command="UPDATE episode SET text = '$sentence', kind = 'secret' WHERE id % 50 = 0" --command="VACUUM ANALYZE episode"
	backup
	purge --type secret 2>/dev/null
	data=$(docker volume inspect --format '{{.Mountpoint}}' nexus_postgres_data)
	apply a --no-safety-backup --yes --json >"$work/done.json" 2>/dev/null
	same "rows forgotten again" "$(jq .forgotten "$work/done.json")" 40
	docker exec nexus-postgres dropdb --force "$(jq -r .kept "$work/done.json")"
	# The control: the sentence is in the files before the cleaning.
	grep -rqa quillomander "$data"
	purge 2>/dev/null
	same "files that hold it" "$(grep -rla quillomander "$data" || true)" ''
	same "rows, and open decisions" "$(rows) $(open)" '1960 0'
	# A copy made with --into is cleaned at once, because no nightly run cleans it.
	apply a --into lethe_look >/dev/null 2>&1
	same "files that hold it" "$(grep -rla quillomander "$data/18/docker/base/$(server --command="SELECT oid FROM pg_database WHERE datname = 'lethe_look'")" || true)" ''
}

# The restored set is the oldest, and the rotation of the safety backup would remove it.
set_that_is_restored_is_not_rotated_away() {
	local hours
	machine a
	fill 1 10 a
	# Twelve nights; the first five are older than a week, and only the first is being restored.
	for hours in $(seq 276 -24 12); do
		NEXUS_KEEP_MIN=20 faketime -f -"$hours"h nexus-backup --pg-database=lethe --backup-dir="$sets" --redis=no --purge-ledger="$ledger" --proofs-dir="$work" 2>/dev/null
	done
	NEXUS_KEEP_MIN=1 NEXUS_KEEP_DAYS=7 nexus-restore apply 1 --pg-database lethe --backup-dir "$sets" --purge-ledger "$ledger" --no-redis --yes --identity "$owner" >/dev/null
	same "numbers of the sets" "$(sets "$sets" | cut -d- -f1 | xargs)" "000001 $(seq --format=%06g --separator=' ' 6 13)"
	# A later rotation removes it.
	NEXUS_KEEP_MIN=1 NEXUS_KEEP_DAYS=7 nexus-backup --backup-dir="$sets" --proofs-dir="$work" --rotate-only 2>/dev/null
	same "numbers of the sets" "$(sets "$sets" | cut -d- -f1 | xargs)" "$(seq --format=%06g --separator=' ' 6 13)"
}

# Measures the disk through the server's process, in whatever container and volume it is.
a_restore_leaves_the_live_server_its_disk_space() {
	machine a
	fill 1 10 a
	backup
	exits 73 'checking the space in /var/lib/postgresql/' apply a --into lethe_look --reserve 999999999
	apply a --into lethe_look --reserve 1 >/dev/null
}

check restore_that_fails_leaves_ledger_and_keys
check undo_returns_ledger_and_keys
check another_machines_ledger_needs_consent
check a_large_share_needs_consent
check open_decisions_are_measured
check replay_is_idempotent
check referring_rows_follow_the_setting
check rings_end
check no_file_holds_what_a_restore_forgot_again
check set_that_is_restored_is_not_rotated_away
check a_restore_leaves_the_live_server_its_disk_space
report
