#!/usr/bin/env bash
# Names of tables and files, a server's replies, and entries in place of a set's files do not control NEXUS's terminal, do not begin a
# separate line, and do not block NEXUS. Runs inside an installed machine.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/restored.sh"

work=$(mktemp -d)
directory=$work/sets
trap 'rm -rf "$work"; drop_all hostile' EXIT

# Sets the terminal's title, clears the screen, fakes a line of ours, and has C1 characters and a change of direction.
evil=$'x\e]0;owned\a\e[2J\r\nnexus-restore: all is well \xc2\x9b31m \xe2\x80\xaegnp.exe\x7f'

# steers FILE: prints the number of lines that would control a terminal.
steers() { LC_ALL=C grep -caP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b\x8e\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf' "$1" || true; }
# prints WORDS COMMAND…: its output must contain WORDS, and nothing that controls a terminal, whether it succeeds or not.
prints() {
	local words=$1 status=0
	shift
	"$@" >"$work/said" 2>&1 </dev/null || status=$?
	same "lines of \"$*\" (exit $status) that steer" "$(steers "$work/said")" 0
	grep -qF -- "$words" "$work/said" || { printf '"%s" said: %s\n' "$*" "$(head -c 600 "$work/said")" >&2 && return 1; }
	same "lines of \"$*\" that only seem ours" "$(grep -c '^nexus-restore: all is well' "$work/said" || true)" 0
}
set_of_hostile() { echo "$directory/$(newest "$directory")"; }
in_set() { within "$directory" "$@"; }
# within DIRECTORY COMMAND…: runs it on the sets there, with the key if the command needs one.
within() {
	local key=(--identity "$owner")
	case $2 in verify | list) key=() ;; esac
	timeout --kill-after=5 60 nexus-restore "${@:2}" --backup-dir "$1" "${key[@]}"
}

# Makes a schema, a table, a column, a constraint and an index with that name.
fill() {
	drop_all hostile
	server --command='CREATE DATABASE hostile'
	docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=hostile --set=evil="$evil" <<-'SQL'
		CREATE SCHEMA :"evil";
		CREATE TABLE :"evil".:"evil" (id bigserial PRIMARY KEY, :"evil" text, CONSTRAINT :"evil" CHECK (id > 0));
		CREATE INDEX ON :"evil".:"evil" (:"evil");
		CREATE SEQUENCE :"evil"."counts";
		INSERT INTO :"evil".:"evil" (:"evil") VALUES ('row'), ('row');
	SQL
	backup_of hostile "$directory" >"$work/backup" 2>&1
}

sets_are_shown_without_what_steers() {
	same "lines of the backup that steer" "$(steers "$work/backup")" 0
	prints '\u{1b}]0;owned\u{7}' in_set show 1
	prints '\u001b]0;owned\u0007' in_set show 1 --json
	# For programs (JSON) the name is unchanged.
	same "the name" "$(in_set show 1 --json | jq -r '.tables[0].table')" "$evil"
	prints whole in_set verify 1
	prints 000001 in_set list
	touch "$(set_of_hostile)/$evil"
	prints '\u{1b}]0;owned\u{7}' in_set verify 1
	prints '\u001b]0;owned\u0007' in_set verify 1 --json
	rm "$(set_of_hostile)/$evil"
	prints hostile_copy in_set apply 1 --into hostile_copy --no-redis --yes
	prints hostile_copy in_set apply 1 --into hostile_copy --no-redis --yes
	drop_all hostile
	fill
}

# The author of a manifest chooses every field of it.
every_fact_of_a_manifest_stays_in_its_line() {
	local set recipient fact
	rm -rf "$work/foreign" && install -d "$work/foreign"
	cp -a "$(set_of_hostile)" "$work/foreign/"
	set=$work/foreign/$(newest "$work/foreign")
	recipient=$(age-keygen -y "$owner")
	age --decrypt --identity "$owner" "$set/manifest.json.age" | jq --compact-output --arg evil "$evil" '
		.nexus_version = $evil | .postgres.server_version = $evil | .postgres.database = $evil | .postgres.extensions = {($evil): $evil}
		| .postgres.properties |= (.encoding = $evil | .locale_provider = $evil | .locale = $evil | .owner = $evil)
		| .redis = {version: $evil, keys: {"0": 1, "1": 2}, bytes: 1, sha256: .tables[0].sha256}
		| .redis_missing = $evil | .left_out = {databases: {($evil): 1}, settings: {($evil): $evil}, passwords: [$evil]}
		| .recipients = [$evil]' | sed 's/"keys":{"0":1,/"keys":{"0":18446744073709551615,/' | age --recipient "$recipient" >"$work/manifest"
	mv "$work/manifest" "$set/manifest.json.age"
	for fact in 'written by' server encoding locale redis 'left out' 'readable by'; do prints "$fact" within "$work/foreign" show latest; done
	prints '18 446 744 073 709 551 615 keys' within "$work/foreign" show latest
}

# The error for a duplicate key names the index, the table and the key.
what_a_restore_complains_of_does_not_steer() {
	docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=hostile --set=evil="$evil" <<-'SQL'
		CREATE UNIQUE INDEX "only one" ON :"evil".:"evil" (:"evil") WHERE id > 2;
		ALTER TABLE :"evil".:"evil" ALTER COLUMN id DROP DEFAULT;
		UPDATE pg_catalog.pg_index SET indisunique = false WHERE indexrelid = format('%I."only one"', :'evil')::regclass;
		INSERT INTO :"evil".:"evil" (id, :"evil") VALUES (3, 'twice'), (4, 'twice');
		UPDATE pg_catalog.pg_index SET indisunique = true WHERE indexrelid = format('%I."only one"', :'evil')::regclass;
	SQL
	backup_of hostile "$directory" >"$work/backup" 2>&1
	same "lines of the backup that steer" "$(steers "$work/backup")" 0
	prints 'only one' in_set apply latest --into hostile_copy --no-redis --yes
}

# A hostile server listens on the socket; each program reports its answer.
what_a_server_answers_does_not_steer() {
	local serving program
	python3 -c "$(<"$(dirname "${BASH_SOURCE[0]}")/hostile_server.py")" "$work/.s.PGSQL.5432" "$evil" &
	serving=$!
	# shellcheck disable=SC2064 # as it is now
	trap "kill $serving" EXIT
	await 10 test -S "$work/.s.PGSQL.5432"
	install -d -m 700 "$work/never"
	export NEXUS_PG_HOST=$work
	prints '\u{1b}]0;owned' nexus-backup --redis=no --backup-dir "$work/never"
	prints '\u{1b}]0;owned' nexus-restore apply 1 --backup-dir "$directory" --identity "$owner" --into hostile_copy --no-redis --yes
	prints '\u{1b}]0;owned' nexus-purge --dry-run
	prints postgres nexus-health --once
	prints postgres nexus-health --json
	# A message with a MESSAGE_ID goes to the journal too.
	command journalctl --sync
	command journalctl --output=cat --all --since=-10min --identifier=nexus-backup >"$work/journal"
	found '\\u{1b}\]0;owned' "$work/journal"
	same "lines of the journal that steer" "$(steers "$work/journal")" 0
}

# In the database that nexus-setup queries, a login trigger prints a message to each session.
what_a_login_trigger_says_does_not_steer() {
	docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=postgres --set=evil="$evil" <<-'SQL'
		SELECT format('CREATE FUNCTION greet() RETURNS event_trigger LANGUAGE plpgsql AS %L', format('BEGIN RAISE WARNING %L; END', :'evil')) \gexec
		CREATE EVENT TRIGGER greet ON login EXECUTE FUNCTION greet();
	SQL
	prints 'NEXUS runs' nexus-setup --yes --model none
	# The trigger's message was printed.
	grep -q owned "$work/said"
	docker exec nexus-postgres psql -Xq --dbname=postgres --command='DROP EVENT TRIGGER greet' --command='DROP FUNCTION greet' 2>/dev/null
}

# Sends every byte, and every mark of direction, through the scripts' print functions.
scripts_print_what_others_say_without_what_steers() {
	# shellcheck source=/dev/null
	(program='test' && . /usr/local/share/nexus/setup/say.sh && . /usr/local/share/nexus/setup/check.sh && trap - HUP INT TERM &&
		say "database $evil" && complain "$evil" && doing "$evil" && missing "$evil" "$evil" && note "$evil" "$evil" && wrong "$evil" &&
		quoted <<<"$evil" && guarded complain "$evil") >"$work/said" 2>&1
	same "lines that steer" "$(steers "$work/said")" 0
	same "lines that only seem ours" "$(grep -c '^nexus-restore: all is well' "$work/said" || true)" 0
	same "lines" "$(wc -l <"$work/said")" 9
	# shellcheck source=/dev/null
	(. /usr/local/share/nexus/setup/say.sh && LC_ALL=C awk 'BEGIN { for (i = 0; i < 256; i++) printf "%c", i }' | quoted) >"$work/said" 2>&1
	same "lines that steer" "$(steers "$work/said")" 0
	# shellcheck source=/dev/null
	same "words" "$(. /usr/local/share/nexus/setup/say.sh && say 'ñandú 🧠 سلام')" 'ñandú 🧠 سلام'
}

# A pipe, a link, a socket or a directory instead of a file is reported at once, without waiting.
nothing_but_plain_files_is_read() {
	local set file kind status command
	install -d "$work/foreign"
	rm -rf "$work/foreign/"*
	cp -a "$(set_of_hostile)" "$work/foreign/"
	set=$work/foreign/$(newest "$work/foreign")
	for file in manifest.json.age SHA256SUMS database.dump.zst.age data/0001.copy.zst.age; do
		mv "$set/$file" "$work/kept"
		for kind in pipe link; do
			if [[ $kind == pipe ]]; then mkfifo "$set/$file"; else ln -s "$work/kept" "$set/$file"; fi
			for command in show verify 'apply --into hostile_copy --no-redis --yes'; do
				# `show` reads only the manifest.
				[[ $command != show || $file == manifest.json.age ]] || continue
				status=0
				# shellcheck disable=SC2086 # several words
				within "$work/foreign" $command ${set##*/} >"$work/said" 2>&1 </dev/null || status=$?
				same "the exit code of $command with a $kind as $file ($(head -c 300 "$work/said"))" "$status" 65
				grep -qF 'not a regular file' "$work/said" || { cat "$work/said" >&2 && return 1; }
			done
			rm "$set/$file"
		done
		mv "$work/kept" "$set/$file"
	done
	mkfifo "$work/foreign/.last.json"
	status=0
	within "$work/foreign" list >"$work/said" 2>&1 </dev/null || status=$?
	same "the exit code of list with a pipe as .last.json ($(head -c 300 "$work/said"))" "$status" 0
}

# The same for the restore test, which runs unattended.
a_proof_does_not_wait_for_a_pipe() {
	local set status=0
	rm -rf "$work/foreign" && install -d "$work/foreign"
	cp -a "$(set_of_hostile)" "$work/foreign/"
	set=$work/foreign/$(newest "$work/foreign")
	rm "$set/manifest.json.age" && mkfifo "$set/manifest.json.age"
	timeout --kill-after=5 60 nexus-restore-test "$(cut -d- -f1 <<<"${set##*/}")" --backup-dir "$work/foreign" --proofs-dir "$work/proofs" --identity "$owner" >"$work/said" 2>&1 </dev/null || status=$?
	same "the exit code ($(head -c 300 "$work/said"))" "$status" 65
}

install -d "$work/proofs"
fill
check sets_are_shown_without_what_steers
check every_fact_of_a_manifest_stays_in_its_line
check what_a_restore_complains_of_does_not_steer
check what_a_server_answers_does_not_steer
check what_a_login_trigger_says_does_not_steer
check scripts_print_what_others_say_without_what_steers
check nothing_but_plain_files_is_read
check a_proof_does_not_wait_for_a_pipe
report
