#!/usr/bin/env bash
# Tests nexus-restore inside an installed machine: its lists and checks, that a restored database equals the backed up one, that swap and
# undo lose nothing, and that a refusal changes nothing. Needs the owner's identity.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/restored.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"; drop_all memory; drop_databases odd; drop_databases stock' EXIT
directory=$work/sets

# Makes a small database with everything that a swap must carry over.
fill() {
	drop_all memory
	server --command='CREATE DATABASE memory'
	docker exec -i nexus-postgres psql -Xq --set=ON_ERROR_STOP=1 --dbname=memory <<-'SQL'
		CREATE EXTENSION vector;
		CREATE ROLE restore_login LOGIN PASSWORD 'x';
		CREATE ROLE restore_group; GRANT restore_group TO restore_login;
		CREATE TABLE episode (id bigserial PRIMARY KEY, text text NOT NULL, v vector(3));
		INSERT INTO episode (text, v) SELECT md5(i::text), '[1,2,3]' FROM generate_series(1, 20000) i;
		DELETE FROM episode WHERE id % 3 = 0;
		CREATE INDEX ON episode USING hnsw (v vector_cosine_ops);
		CREATE MATERIALIZED VIEW summary AS SELECT count(*) AS n FROM episode;
		ALTER TABLE episode ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, OWNER TO restore_group;
		CREATE POLICY p ON episode USING (id > 10);
		GRANT CONNECT ON DATABASE memory TO restore_login;
		REVOKE CONNECT ON DATABASE memory FROM PUBLIC;
		ALTER DATABASE memory SET search_path = '$user', public;
		ALTER DATABASE memory SET nexus.agent_id = 'it''s';
		COMMENT ON DATABASE memory IS 'a comment';
	SQL
	backup_of memory "$directory" 2>/dev/null
}
set_of_memory() { echo "$directory/$(newest "$directory")"; }
apply() { nexus-restore apply "$(set_of_memory)" --pg-database memory --backup-dir "$directory" --no-redis --yes "$@"; }
undo() { nexus-restore undo --pg-database memory --yes "$@"; }

list_shows_what_there_is() {
	install -d "$work/none"
	nexus-restore list --backup-dir "$work/none" | found 'systemctl start nexus-backup'
	same "the JSON of the list" "$(nexus-restore list --backup-dir "$directory" --json | jq -c '.sets[] | [.id, .tables, .rows, .proven]')" '[1,1,13334,null]'
	nexus-restore list --backup-dir "$directory" --identity "$owner" | found -E '^000001 .* 13 334  no$'
	# Without the right identity, the encrypted facts are unknown.
	age-keygen -o "$work/other.key" 2>/dev/null
	nexus-restore list --backup-dir "$directory" --identity "$work/other.key" | found -E ' -  +-  no$'
	nexus-restore show 1 --backup-dir "$directory" --json | jq -e '.postgres.database == "memory" and .tables[0].table == "episode"' >/dev/null
}

verify_names_what_is_damaged() {
	nexus-restore verify all --backup-dir "$directory" --json | jq -e '.damaged == 0' >/dev/null
	cp -a "$directory" "$work/damaged"
	local set
	set=$work/damaged/$(newest "$directory")
	flip "$set/data/0001.copy.zst.age" 300
	rm "$set/roles.sql.zst.age" && touch "$set/data/9999.copy.zst.age" "$set/data/Thumbs.db"
	refused 65 'data/0001.copy.zst.age: its content has changed' nexus-restore apply "$set" --into memory_copy
	nexus-restore verify 1 --backup-dir "$work/damaged" >"$work/said" 2>&1 && return 1
	same "files named" "$(grep -c -e '^  data/0001.copy.zst.age: ' -e '^  roles.sql.zst.age: it is missing' -e '^  data/9999.copy.zst.age: ' "$work/said")" 3
	grep -q 'ignored, not part of the set: data/Thumbs.db$' "$work/said"
}

# Files that a Mac, a network drive, Windows or a file system leaves. On a read-only stick they cannot be removed.
foreign_files_are_passed_over_and_named() {
	local set
	install -d "$work/mac"
	cp -a "$(set_of_memory)" "$work/mac"
	set=$work/mac/$(newest "$work/mac")
	touch "$set/.DS_Store" "$set/._manifest.json.age" "$set/data/Thumbs.db" "$set/data/._0001.copy.zst.age"
	install -d "$set/@eaDir" && echo x >"$set/@eaDir/manifest.json.age"
	install -d -m 0 "$set/lost+found"
	(cd "$set" && sha256sum --quiet --check SHA256SUMS)
	nexus-restore verify "$set" | found -F 'ignored, not part of the set: .DS_Store, ._manifest.json.age, @eaDir/, data/._0001.copy.zst.age, data/Thumbs.db, lost+found/'
	nexus-restore apply "$set" --into memory_copy --identity "$owner" >/dev/null 2>"$work/said"
	grep -qF 'ignored files that do not belong to the set: .DS_Store' "$work/said"
	same "the restored rows" "$(contents memory_copy)" "$(contents memory)"
	server --command='DROP DATABASE memory_copy'
	# An unlisted file with a name that a reader would open counts as damage.
	touch "$set/data/9999.copy.zst.age"
	refused 65 'data/9999.copy.zst.age: it does not belong to the set: SHA256SUMS does not list it' nexus-restore apply "$set" --into memory_copy --identity "$owner"
}

into_restores_an_equal_database() {
	nexus-restore apply "$(set_of_memory)" --into 'memory, copy' --json >"$work/done.json"
	same "the compared objects" "$(jq -c '[.database, .kept, .compared.tables, .compared.rows, .compared.sequences]' "$work/done.json")" '["memory, copy",null,1,13334,1]'
	same "the restored rows" "$(contents 'memory, copy')" "$(contents memory)"
	same "the restored definitions" "$(definitions 'memory, copy')" "$(definitions memory)"
	same "the properties of the database" "$(properties 'memory, copy')" "$(properties memory)"
	refused 73 'a database of that name exists' nexus-restore apply "$(set_of_memory)" --into 'memory, copy'
	server --command='DROP DATABASE "memory, copy"'
}

# A session writes without pause while the database is replaced.
swap_keeps_all_and_undo_brings_it_back() {
	local writer kept after
	server --dbname=memory --command="INSERT INTO episode (text) VALUES ('after the backup')"
	(while :; do server --dbname=memory --command="INSERT INTO episode (text) VALUES ('still')" >/dev/null 2>&1 || true; done) &
	writer=$!
	apply --json >"$work/done.json" 2>/dev/null
	kill "$writer"
	wait "$writer" || true
	kept=$(jq -r .kept "$work/done.json")
	[[ $kept == "memory before 000001 "* ]]
	same "rows in the kept database" "$(server --dbname="$kept" --command="SELECT count(*) FROM episode WHERE text = 'after the backup'")" 1
	same "rows in the restored database" "$(server --dbname=memory --command="SELECT count(*) FROM episode WHERE text = 'after the backup'")" 0
	# The previous content is in its own set, too.
	same "the safety backup" "$(jq -r .safety_backup "$work/done.json")" "$(newest "$directory")"
	(cd "$(set_of_memory)" && sha256sum --quiet --check SHA256SUMS)
	after=$(contents "$kept")
	undo --json >"$work/undone.json"
	same "the database after the undo" "$(contents memory)" "$after"
	undo --json | jq -e '.was | startswith("memory undone ")' >/dev/null
	same "rows after the second undo" "$(server --dbname=memory --command="SELECT count(*) FROM episode WHERE text = 'after the backup'")" 0
	undo >/dev/null
	refused 64 'the kept databases are: ' nexus-restore drop-kept nexus --pg-database memory --yes
	drop_kept
}
drop_kept() {
	local kept
	while read -r kept; do nexus-restore drop-kept "$kept" --pg-database memory --yes >/dev/null; done < <(server --command="SELECT datname FROM pg_database WHERE datname ~ '^memory (before|undone) '")
	same "databases left" "$(databases_of memory)" memory
}

# It asks on the terminal, and refuses without one.
nothing_is_replaced_unasked() {
	refused 64 'There is no terminal to ask on' nexus-restore apply "$(set_of_memory)" --pg-database memory
	fails 'the answer was not yes' script --quiet --return --command "nexus-restore apply $(set_of_memory) --pg-database memory" /dev/null <<<no
	refused 64 'There is no terminal' nexus-restore drop-kept x --pg-database memory --yes </dev/null || refused 64 'the kept databases are: none' nexus-restore drop-kept x --pg-database memory --yes
}

# On a server without the database and its roles, from a stick, with only the owner's key.
bare_server_needs_only_the_set_and_the_key() {
	local before
	# A restore refreshes materialized views.
	server --dbname=memory --command='REFRESH MATERIALIZED VIEW summary'
	# Another server has no ledger of this machine, and the set need not contain one.
	NEXUS_PURGE_LEDGER=$work/no-ledger backup_of memory "$directory" 2>/dev/null
	before=$(contents memory)
	install -d "$work/stick" "$work/keys"
	cp -a "$(set_of_memory)" "$work/stick"
	cp -a /etc/nexus/credentials/postgres_password "$work/keys"
	server --command='DROP DATABASE memory' --command='DROP ROLE restore_login, restore_group'
	refused 64 'does not exist. Give the owner' env NEXUS_CREDENTIALS="$work/keys" nexus-restore apply "$work/stick/"*/ --pg-database memory
	env NEXUS_CREDENTIALS="$work/keys" NEXUS_PURGE_LEDGER="$work/no-ledger" nexus-restore apply "$work/stick/"*/ --pg-database memory --backup-dir "$work/nowhere" --identity "$owner" --no-redis >"$work/said"
	grep -q 'role restore_login was made without its password' "$work/said"
	same "the restored content" "$(contents memory)" "$before"
	same "who is a member" "$(server --command="SELECT pg_has_role('restore_login', 'restore_group', 'member'), rolcanlogin FROM pg_roles WHERE rolname = 'restore_login'")" 't|t'
}

# ---- Sets that cannot be restored unchanged

# Restores the set of database odd with stock tools into `stock`; their output is in $work/stock.out.
odd_set() { echo "$work/odd/$(newest "$work/odd")"; }
stock_restore() {
	local status=0
	(
		cp /etc/nexus/credentials/postgres_pgpass "$work/pgpass" && chmod 600 "$work/pgpass"
		export PGPASSFILE=$work/pgpass PGHOST=/run/nexus/postgres PGUSER=postgres
		cd "$(odd_set)"
		age -d -i "$owner" restore.sh.age >"$work/restore.sh"
		bash "$work/restore.sh" "$owner" stock
	) >"$work/stock.out" 2>&1 || status=$?
	same "the exit code of restore.sh" "$status" "$1"
}
# odd SQL…: makes a database with this SQL and NEXUS's own schema, and backs it up.
odd() {
	drop_databases odd && drop_databases stock
	rm -rf "$work/odd"
	server --command='CREATE DATABASE odd'
	server --dbname=odd --command='CREATE SCHEMA nexus_memory' --command='CREATE TABLE nexus_memory.zep_episodic_memory AS SELECT i FROM generate_series(1, 10) i' "${@/#/--command=}"
	backup_of odd "$work/odd" 2>/dev/null
}
apply_odd() { nexus-restore apply "$(odd_set)" --into odd_copy "$@"; }

duplicate_keys_are_named_and_can_be_left_out() {
	odd 'CREATE TABLE twice (id int PRIMARY KEY, t text)' 'CREATE TABLE refers (id int CONSTRAINT refers_to REFERENCES twice)' 'CREATE INDEX other ON twice (t)' \
		"INSERT INTO twice VALUES (1, 'a')" 'INSERT INTO refers VALUES (1)' "UPDATE pg_index SET indisready = false WHERE indexrelid = 'twice_pkey'::regclass"
	server --dbname=odd --command="INSERT INTO twice VALUES (1, 'b')" --command="UPDATE pg_index SET indisready = true WHERE indexrelid = 'twice_pkey'::regclass"
	backup_of odd "$work/odd" 2>/dev/null
	refused 65 'table public.twice has duplicate rows for the key (id) of the unique index twice_pkey' nexus-restore apply "$(odd_set)" --into odd_copy
	refused 65 "--without 'public.twice twice_pkey'" nexus-restore apply "$(odd_set)" --into odd_copy
	apply_odd --without 'public.twice twice_pkey' >"$work/said"
	grep -qF 'left out as asked: public.twice twice_pkey' "$work/said"
	grep -qF 'left out as asked, because it needs what is left out: public.refers refers_to' "$work/said"
	same "the restored rows" "$(contents odd_copy)" "$(contents odd)"
	same "its indexes" "$(server --dbname=odd_copy --command="SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'twice'::regclass")" other
	stock_restore 1
	grep -q '^NOT RESTORED: what pg_restore names above' "$work/stock.out"
	grep -q '^equal: "public"."twice"$' "$work/stock.out"
	same "rows by stock tools" "$(contents stock)" "$(contents odd)"
}

functions_without_schema_need_the_right_search_path() {
	odd 'CREATE SCHEMA app' "CREATE FUNCTION app.squash(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(t)'" \
		"CREATE FUNCTION app.slug(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN squash(t); END'" \
		"CREATE TABLE people (name text CHECK (app.slug(name) <> ''), s text GENERATED ALWAYS AS (app.slug(name)) STORED)" \
		'SET search_path = app, public' "INSERT INTO people VALUES ('Ana')"
	# No setting of the database names the schema.
	refused 65 'restoring public.people: function squash(text) does not exist' nexus-restore apply "$(odd_set)" --into odd_copy
	refused 65 "--without 'public.people'" nexus-restore apply "$(odd_set)" --into odd_copy
	apply_odd --search-path 'app, public' >"$work/said"
	grep -qF "public.people was restored with search_path 'app', 'public'" "$work/said"
	same "the restored rows" "$(contents odd_copy)" "$(contents odd)"
	server --command='DROP DATABASE odd_copy'
	apply_odd --without public.people >"$work/said"
	grep -qF 'left out as asked, 1 row: public.people' "$work/said"
	same "rows of the others" "$(contents odd_copy | grep -v people)" "$(contents odd | grep -v people)"
	same "rows that were left out" "$(server --dbname=odd_copy --command='SELECT count(*) FROM people')" 0
	stock_restore 1
	grep -q '^NOT RESTORED: the rows of "public"."people"$' "$work/stock.out"
	same "rows of the others by stock tools" "$(contents stock | grep -v people)" "$(contents odd | grep -v people)"
	# With the search_path of the owner's sessions it needs no option.
	server --dbname=odd --command='ALTER DATABASE odd SET search_path = app, public'
	backup_of odd "$work/odd" 2>/dev/null
	server --command='DROP DATABASE odd_copy' --command='DROP DATABASE stock'
	apply_odd >/dev/null
	same "the restored rows" "$(contents odd_copy)" "$(contents odd)"
	stock_restore 0
	same "rows by stock tools" "$(contents stock)" "$(contents odd)"
}

a_missing_tablespace_falls_back_to_the_default() {
	local place=/var/lib/postgresql/of-the-test
	docker exec nexus-postgres mkdir -p "$place"
	server --command="CREATE TABLESPACE \"fast, größe\" LOCATION '$place'"
	odd 'CREATE TABLE placed (id int PRIMARY KEY USING INDEX TABLESPACE "fast, größe", t text) TABLESPACE "fast, größe"' 'INSERT INTO placed SELECT i FROM generate_series(1, 100) i' 'CREATE INDEX placed_t ON placed (t) TABLESPACE "fast, größe"'
	# The restore uses the tablespace if the server has it.
	apply_odd >"$work/said"
	same "places" "$(server --dbname=odd_copy --command="SELECT DISTINCT spcname FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE relname ~ 'placed'")" 'fast, größe'
	contents odd >"$work/contents"
	server --command='DROP DATABASE odd_copy' --command='DROP DATABASE odd' --command='DROP TABLESPACE "fast, größe"'
	apply_odd >"$work/said"
	grep -qF 'this server has no tablespace fast, größe: ' "$work/said"
	same "the restored rows" "$(contents odd_copy)" "$(<"$work/contents")"
	same "its indexes" "$(server --dbname=odd_copy --command="SELECT count(*) FROM pg_index WHERE indrelid = 'placed'::regclass")" 2
	stock_restore 0
	grep -qF 'this server has no tablespace fast, größe: ' "$work/stock.out"
	same "rows by stock tools" "$(contents stock)" "$(<"$work/contents")"
}

refusals_are_one_line() {
	refused 64 'there is no such set' nexus-restore apply 4711 --into memory_copy
	refused 77 "this identity is not one of the set's recipients" nexus-restore apply "$(set_of_memory)" --into memory_copy --identity "$work/other.key"
	refused 64 'it holds no age identity' nexus-restore apply "$(set_of_memory)" --into memory_copy --identity /etc/passwd
	refused 78 'NEXUS_PG_PORT=x' env NEXUS_PG_PORT=x nexus-restore apply "$(set_of_memory)" --into memory_copy
	refused 69 'nexus-docker does not listen there' nexus-restore apply "$(set_of_memory)" --into memory_copy --docker-socket /none
	refused 78 'it names no command' nexus-restore apply "$(set_of_memory)" --into memory_copy --pg-restore ' '
	refused 64 'a name has 1 to 63 bytes' nexus-restore apply "$(set_of_memory)" --into "$(printf 'x%.0s' {1..64})"
	install -d -m 700 "$work/wrong" && echo wrong >"$work/wrong/postgres_password"
	refused 77 'password authentication failed' env NEXUS_CREDENTIALS="$work/wrong" nexus-restore apply "$(set_of_memory)" --into memory_copy --identity "$owner"
	server --command="ALTER ROLE restore_login PASSWORD 'weak'"
	echo weak >"$work/wrong/postgres_password"
	as_login() { refused 77 "$1" env NEXUS_CREDENTIALS="$work/wrong" nexus-restore apply "$(set_of_memory)" --into memory_copy --identity "$owner" --pg-user restore_login; }
	as_login 'permission denied for database "postgres"'
	server --command='GRANT CONNECT ON DATABASE postgres TO restore_login'
	as_login 'role restore_login is not a superuser'
	server --command='REVOKE CONNECT ON DATABASE postgres FROM restore_login'
}

stopped_server_is_69() {
	trap 'docker start nexus-postgres >/dev/null' EXIT
	docker stop nexus-postgres >/dev/null
	fails 'systemctl start nexus-stack' nexus-restore apply "$(set_of_memory)" --into memory_copy
	docker start nexus-postgres >/dev/null
	await 60 healthy
}

# reseal SET FILE FILTER…: passes the file's content through the filter, and updates the checksums.
reseal() {
	local set=$1 file=$2
	shift 2
	age -d -i "$owner" "$set/$file" | "$@" | age -R /etc/nexus/recipients.txt >"$work/new"
	cat "$work/new" >"$set/$file"
	(cd "$set" && find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum) >"$work/sums"
	cat "$work/sums" >"$set/SHA256SUMS"
}
change_a_row() { zstd -dc | perl -0777 -pe 's/\x00\x00\x00 \K[0-9a-f]{8}/deadbeef/' | zstd -c; }
# Anyone who knows a recipient can make a file that decrypts; the manifest's digests still show the change.
changed_rows_and_sequences_are_noticed() {
	local set
	install -d "$work/forged"
	cp -a "$(set_of_memory)" "$work/forged"
	set=$work/forged/$(basename "$(set_of_memory)")
	reseal "$set" data/0001.copy.zst.age change_a_row
	refused 65 'the manifest says' nexus-restore apply "$set" --into memory_copy --identity "$owner"
	cp -a "$(set_of_memory)"/. "$set"
	reseal "$set" manifest.json.age jq '.sequences[] |= (.before.last_value += 1 | .after.last_value += 1 | .archived[]?.last_value += 1)'
	refused 65 'sequence "public"."episode_id_seq": ' nexus-restore apply "$set" --into memory_copy --identity "$owner"
}

# The restore finds at its start what would otherwise fail after hours.
an_impossible_safety_backup_is_refused_first() {
	refused 78 'checking that the live database can be backed up' env NEXUS_RECIPIENTS=/none nexus-restore apply "$(set_of_memory)" --pg-database memory --backup-dir "$directory" --yes
	refused 64 'There is no terminal to ask on' env NEXUS_RECIPIENTS=/none nexus-restore apply "$(set_of_memory)" --pg-database memory --backup-dir "$directory" --no-safety-backup
}

second_restore_is_75() {
	local first program
	apply --into memory_first >/dev/null 2>&1 &
	first=$!
	program=$(process_of nexus-restore)
	halted "$program" restoring_is_there
	fails 'held by a restore' nexus-restore apply "$(set_of_memory)" --into memory_copy
	kill -CONT "$program"
	wait "$first"
	server --command='DROP DATABASE memory_first'
}
restoring_is_there() { [[ -n $(server --command="SELECT 1 FROM pg_database WHERE datname ~ ' restoring '") ]]; }

# A server outside Compose: this machine's pg_restore, from a setting in nexus.env, which the owner's shell does not read.
own_command_is_used() {
	sed 's|^NEXUS_PG_RESTORE=.*|NEXUS_PG_RESTORE=pg_restore|; s|^NEXUS_DOCKER_SOCKET=.*|NEXUS_DOCKER_SOCKET=/none|' /etc/nexus/nexus.env >"$work/nexus.env"
	NEXUS_SETTINGS=$work/nexus.env nexus-restore apply "$(set_of_memory)" --into memory_own >/dev/null
	same "the restored definitions" "$(definitions memory_own)" "$(definitions memory)"
	server --command='DROP DATABASE memory_own'
	refused 78 'the set comes from PostgreSQL' nexus-restore apply "$(set_of_memory)" --into memory_own --pg-restore "echo pg_restore (PostgreSQL) 14.1"
}

# ---- Early service: rows and keys first, the vector index while programs work

near() { server --dbname=memory --command="SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('v_near')), false), to_regclass('nexus_restore.unbuilt') IS NOT NULL"; }
is_being_built() { [[ -n $(server --command="SELECT 1 FROM pg_stat_progress_create_index p JOIN pg_database d ON d.oid = p.datid WHERE d.datname = 'memory'") ]]; }
finding() { nexus-health --once --json --pg-database memory 2>/dev/null | jq -r '.findings[] | select(.id == "restore-indexes") | .level + ": " + .sentence'; }
# So large that its index is still being built after all other checks.
fill_vectors() {
	docker exec -i nexus-postgres psql -Xq --set=ON_ERROR_STOP=1 --dbname=memory <<-'SQL'
		CREATE TABLE vectors AS SELECT i, (SELECT array_agg(sin(i * j))::vector(384) FROM generate_series(1, 384) j) AS v FROM generate_series(1, 12000) i;
		CREATE INDEX v_near ON vectors USING hnsw (v vector_cosine_ops) WITH (ef_construction = 200);
		COMMENT ON INDEX v_near IS 'near';
	SQL
	backup_of memory "$directory" 2>/dev/null
	definitions memory >"$work/definitions"
}
apply_early() { apply --no-safety-backup --serve-early "$@"; }
serves_before_its_vector_index_is_built() {
	fill_vectors
	apply_early --json >"$work/done.json" 2>"$work/said" &
	local restore=$!
	await 120 is_being_built
	# Programs read and write; without the index, a search compares every row.
	same "the nearest" "$(server --dbname=memory --command="SELECT i FROM vectors ORDER BY v <=> (SELECT v FROM vectors WHERE i = 7), i LIMIT 1")" 7
	server --dbname=memory --command="INSERT INTO vectors VALUES (0, (SELECT v FROM vectors WHERE i = 7))"
	[[ $(finding) == 'ok: A restore is building vector indexes ('[12]' left'* ]]
	fails 'held by a restore' nexus-restore finish --pg-database memory
	fails 'held by a restore' undo
	wait "$restore"
	grep -q 'memory serves' "$work/said"
	same "index and list" "$(near)" 't|f'
	same "the restored content" "$(definitions memory)" "$(<"$work/definitions")"
	jq -e '.built == 2 and .served_usec > 0 and .served_usec < .usec' "$work/done.json" >/dev/null
	drop_kept
}
killed_while_it_builds_it_is_finished_later() {
	local signal
	for signal in KILL TERM; do
		apply_early >/dev/null 2>"$work/said" &
		await 120 is_being_built
		pkill --signal "$signal" --exact nexus-restore
		wait $! || true
		[[ $signal == KILL ]] || grep -q "Build them with: nexus-restore finish --pg-database 'memory'" "$work/said"
		await 10 no_restore_runs
		same "index and list" "$(near)" 'f|t'
		[[ $(finding) == 'warning: A restore ended before'* ]]
		drop_kept
	done
	# A backup made meanwhile records the missing index too, and so does its restored copy.
	backup_of memory "$directory" 2>/dev/null
	nexus-restore apply latest --backup-dir "$directory" --into memory_later --json 2>/dev/null | jq -e '.built > 0' >/dev/null
	same "the restored definitions" "$(definitions memory_later)" "$(<"$work/definitions")"
	server --command='DROP DATABASE memory_later'
	nexus-restore finish --pg-database memory | found -E ' index(es)? built'
	same "index and list" "$(near)" 't|f'
	same "the restored content" "$(definitions memory)" "$(<"$work/definitions")"
	nexus-restore finish --pg-database memory | found 'has all its indexes'
	[[ $(finding) == 'ok: No restore has left'* ]]
	server --dbname=memory --command='DROP TABLE vectors'
	backup_of memory "$directory" 2>/dev/null
}

redis_comes_back_with_the_swap() {
	redis SET restore:key before >/dev/null
	nexus-backup --pg-database=memory --backup-dir="$directory" --redis=yes 2>/dev/null
	redis SET restore:key after >/dev/null
	nexus-restore apply latest --pg-database memory --backup-dir "$directory" --no-safety-backup --yes --json >"$work/done.json"
	same "the key" "$(redis GET restore:key)" before
	jq -e '.redis | startswith("appendonlydir.before-restore-")' "$work/done.json" >/dev/null
	redis DEL restore:key >/dev/null
	drop_kept
}

memory_stays_small() {
	local peak
	peak=$(python3 - "$(set_of_memory)" <<-'PYTHON'
		import resource, subprocess, sys
		subprocess.run(["nexus-restore", "apply", sys.argv[1], "--into", "memory_peak", "--jobs", "4"], check=True, capture_output=True)
		print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
	PYTHON
	)
	server --command='DROP DATABASE memory_peak'
	((peak < 64)) || { echo "nexus-restore took $peak MiB" >&2 && return 1; }
}

the_journal_has_the_fields() {
	journalctl --output=json --identifier=nexus-restore MESSAGE_ID=5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a64 --lines=1 | jq -e '.NEXUS_BACKUP and (.NEXUS_ROWS | tonumber > 0) and .NEXUS_USEC' >/dev/null
}

fill
check list_shows_what_there_is
check verify_names_what_is_damaged
check foreign_files_are_passed_over_and_named
check into_restores_an_equal_database
check swap_keeps_all_and_undo_brings_it_back
check nothing_is_replaced_unasked
check bare_server_needs_only_the_set_and_the_key
check duplicate_keys_are_named_and_can_be_left_out
check functions_without_schema_need_the_right_search_path
check a_missing_tablespace_falls_back_to_the_default
check refusals_are_one_line
check changed_rows_and_sequences_are_noticed
check an_impossible_safety_backup_is_refused_first
check second_restore_is_75
check own_command_is_used
check serves_before_its_vector_index_is_built
check killed_while_it_builds_it_is_finished_later
check redis_comes_back_with_the_swap
check memory_stays_small
check the_journal_has_the_fields
check stopped_server_is_69
report
