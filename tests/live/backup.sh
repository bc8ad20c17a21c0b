#!/usr/bin/env bash
# Tests nexus-backup inside an installed machine: a set is complete or absent, stock tools restore it, it shows one instant, and every
# refusal is one line with the right exit code. Needs the owner's identity file.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"

work=$(mktemp -d)
trap 'umount -q "$work/disk" || true; rm -rf "$work"' EXIT
episodes=nexus_memory.zep_episodic_memory

fill() {
	as_owner --command="INSERT INTO $episodes (content, tags, embedding)
		SELECT 'backup: ' || repeat(md5(i::text), 5), ARRAY['backup'], array_agg((random() * 2 - 1)::real)::public.vector
		FROM generate_series(1, 6000) i, generate_series(1, 384) j WHERE i IS NOT NULL GROUP BY i"
}

unit_writes_a_whole_set() {
	local before set
	before=$(newest)
	systemctl start nexus-backup
	set=$(newest)
	[[ -n $set && $set != "$before" ]]
	all_whole "$backups"
	same "owner and mode of the set" "$(stat -c '%U %G %a' "$backups/$set")" "nexus nexus 700"
	same "files others may read" "$(find "$backups" -type f -perm /077)" ""
	same "leftovers" "$(find "$backups" -maxdepth 1 -name '.*.partial')" ""
	nothing_runs
}

the_journal_has_the_fields() {
	local line
	line=$(journalctl --output=json --unit=nexus-backup MESSAGE_ID=5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a60 --lines=1)
	same "the set in the journal" "$(jq -r .NEXUS_BACKUP <<<"$line")" "$(newest)"
	(($(jq -r .NEXUS_ROWS <<<"$line") >= 3000 && $(jq -r .NEXUS_BYTES <<<"$line") > 0 && $(jq -r .NEXUS_USEC <<<"$line") > 0))
	journalctl --catalog --unit=nexus-backup --lines=5 | found 'systemctl start nexus-backup'
}

# Runs the commands of RESTORE.txt as written, except for the places of the identity and the server.
stock_tools_restore() {
	local set=$backups/$1 database=$2 script=$work/stock.sh
	{
		printf 'set -euo pipefail\ncd %q\n' "$set"
		printf 'export IDENTITY=%q PGHOST=/run/nexus/postgres PGUSER=postgres PGPASSFILE=%q\n' "$owner" "$work/pgpass"
		sed -n 's/^    //p' "$set/RESTORE.txt" | grep -v '^export ' | sed "s/ restored\$/ '$database'/" | sed '/appendonlydir/d'
	} >"$script"
	grep -q 'sha256sum -c SHA256SUMS' "$script" && grep -q 'restore.sh' "$script"
	cp /etc/nexus/credentials/postgres_pgpass "$work/pgpass"
	chmod 600 "$work/pgpass"
	env -i PATH=/usr/bin:/bin bash "$script" >"$work/stock.out"
	# Another user can create a predictable name in /tmp first.
	fails "" grep /tmp/ "$set/RESTORE.txt"
	grep -q 'every one equal to the backup' "$work/stock.out"
}

stock_tools_restore_the_memory() {
	stock_tools_restore "$(newest)" stock
	same "the restored tables" "$(contents stock)" "$(contents nexus)"
	same "the restored definitions" "$(definitions stock)" "$(definitions nexus)"
	docker exec nexus-postgres dropdb stock
}

# Every transaction of the writers changes two tables alike, so at any instant they are equal.
set_is_of_one_instant() {
	local writers=() directory=$work/instant
	docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --command='CREATE DATABASE instant'
	docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=instant <<-'SQL'
		CREATE TABLE a_large AS SELECT i, repeat(md5(i::text), 40) AS text FROM generate_series(1, 60000) i;
		CREATE TABLE left_side (id serial PRIMARY KEY, n bigint);
		CREATE TABLE right_side (id serial PRIMARY KEY, n bigint);
		CREATE PROCEDURE write_for_ever() LANGUAGE plpgsql AS $$ BEGIN LOOP
			INSERT INTO left_side (n) VALUES (1); INSERT INTO right_side (n) VALUES (1); COMMIT; END LOOP; END $$;
	SQL
	for _ in 1 2; do
		docker exec nexus-postgres psql -XAtq --dbname=instant --command='CALL write_for_ever()' >/dev/null 2>&1 &
		writers+=($!)
	done
	await 20 rows_in instant left_side 1
	backup_of instant "$directory"
	same "writers that still write" "$(jobs -r | wc -l)" 2
	rows_at_backup=$(docker exec nexus-postgres psql -XAtq --dbname=instant --command='SELECT count(*) FROM left_side')
	docker exec nexus-postgres psql -XAtq --dbname=instant --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^CALL write'" >/dev/null
	wait "${writers[@]}" || true
	nexus-restore apply "$directory/$(newest "$directory")" --into instant_back --identity "$owner" --yes
	same "rows left and right" "$(docker exec nexus-postgres psql -XAtq --dbname=instant_back --command='SELECT (SELECT count(*) FROM left_side) = (SELECT count(*) FROM right_side), (SELECT count(*) FROM left_side) BETWEEN 1 AND '"$rows_at_backup"', (SELECT count(*) FROM a_large)')" "t|t|60000"
	docker exec nexus-postgres dropdb instant_back
	docker exec nexus-postgres dropdb instant
}
rows_in() { (($(docker exec nexus-postgres psql -XAtq --dbname="$1" --command="SELECT count(*) FROM $2") >= $3)); }

# Searches do not wait for the nightly backup: the server's process of a COPY has the lowest CPU priority.
copy_gives_way_to_others() {
	local backup program rank
	docker exec nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --command='CREATE DATABASE way'
	docker exec nexus-postgres psql -XAtq --dbname=way --command='CREATE TABLE large AS SELECT i, repeat(md5(i::text), 40) AS text FROM generate_series(1, 60000) i'
	backup_of way "$work/way" &
	backup=$!
	program=$(process_of nexus-backup)
	# The COPY that sets the priority ends before the table's COPY begins.
	halted "$program" copies_large
	rank=$(ps -eo ni=,args= | awk '/[p]ostgres: .* way \[local\] COPY/ { print $1 }')
	kill -CONT "$program"
	wait "$backup"
	same "its niceness" "$rank" 19
	docker exec nexus-postgres dropdb way
}
copies_large() { [[ -n $(docker exec nexus-postgres psql -XAtq --command="SELECT 1 FROM pg_stat_progress_copy p JOIN pg_stat_activity a USING (pid) WHERE p.datname = 'way' AND a.query LIKE '%large%' AND p.tuples_processed > 0") ]]; }

# refused CODE WORDS COMMAND…: checks the exit code, one line on standard error with WORDS, no new set, no running process.
refused() {
	local code=$1 words=$2 before said status=0
	shift 2
	before=$(sets "$backups")
	said=$("$@" 2>&1 >/dev/null) || status=$?
	same "the exit code of $* ($said)" "$status" "$code"
	same "lines said" "$(wc -l <<<"$said")" 1
	[[ $said == *"$words"* ]] || {
		printf '"%s" does not say "%s"\n' "$said" "$words" >&2
		return 1
	}
	same "the sets" "$(sets "$backups")" "$before"
	same "leftovers" "$(find "$backups" -maxdepth 1 -name '.*.partial')" ""
	# nexus-docker ends the tool of a client that has gone, a moment later.
	await 15 "${what_ends:-nothing_runs}" || "${what_ends:-nothing_runs}"
}

wrong_password_is_77() {
	install -d -m 700 "$work/keys"
	cp -a /etc/nexus/credentials/redis_password "$work/keys"
	echo wrong >"$work/keys/postgres_password"
	refused 77 'password authentication failed' env NEXUS_CREDENTIALS="$work/keys" nexus-backup
	cp -a /etc/nexus/credentials/postgres_password "$work/keys"
	echo wrong >"$work/keys/redis_password"
	refused 77 'refuses the password' env NEXUS_CREDENTIALS="$work/keys" nexus-backup --redis=yes
}

role_that_may_not_see_all_is_77() {
	as_owner --command="CREATE ROLE weak LOGIN PASSWORD 'weak'" --command='GRANT CONNECT ON DATABASE nexus TO weak'
	install -d -m 700 "$work/weak"
	cp -a /etc/nexus/credentials/redis_password "$work/weak"
	echo weak >"$work/weak/postgres_password"
	refused 77 'neither superuser nor BYPASSRLS' env NEXUS_CREDENTIALS="$work/weak" nexus-backup --pg-user=weak
	as_owner --command='REVOKE CONNECT ON DATABASE nexus FROM weak' --command='DROP ROLE weak'
}

missing_recipient_is_78() {
	refused 78 'No such file' nexus-backup --recipients="$work/none"
	echo '# nobody' >"$work/nobody"
	refused 78 'there is none' nexus-backup --recipients="$work/nobody"
	echo 'AGE-SECRET-KEY-1NOTARECIPIENT' >"$work/nobody"
	refused 78 'line 1 is an identity, which opens backups and must not be there' nexus-backup --recipients="$work/nobody"
	# The journal does not repeat the wrong line, which may be a secret.
	[[ $(nexus-backup --recipients="$work/nobody" 2>&1 || true) != *NOTARECIPIENT* ]]
}

wrong_settings_are_78() {
	refused 78 'NEXUS_ZSTD_LEVEL=x' env NEXUS_ZSTD_LEVEL=x nexus-backup
	refused 78 'NEXUS_BACKUP_REDIS=perhaps' env NEXUS_BACKUP_REDIS=perhaps nexus-backup
	refused 78 'NEXUS_KEEP_DAYS=3' env NEXUS_KEEP_DAYS=3 nexus-backup
	refused 78 'database "none" does not exist' nexus-backup --pg-database=none
	refused 78 'No such file' nexus-backup --backup-dir="$work/none"
	refused 64 '--zstd-level 99' nexus-backup --zstd-level 99
}

stopped_server_is_69() {
	trap 'docker start nexus-postgres >/dev/null' EXIT
	docker stop nexus-postgres >/dev/null
	what_ends=no_process_is_left refused 69 'nexus-stack' nexus-backup
	docker start nexus-postgres >/dev/null
	await 60 healthy
}
# Does not ask the server, which is down.
no_process_is_left() { ! pgrep -a 'pg_dump|nexus-backup'; }

full_disk_is_73() {
	install -d "$work/disk"
	mount -t tmpfs -o size=2M tmpfs "$work/disk"
	refused 73 'the set needs about' nexus-backup --backup-dir="$work/disk"
	# Pretends that the last set was tiny: the new one seems to fit, and then fills the disk.
	echo '{"sequence":7,"database_bytes":1000000000,"set_bytes":1}' >"$work/disk/.last.json"
	mount -o remount,size=6M "$work/disk"
	refused 73 'Free some space' nexus-backup --backup-dir="$work/disk"
	same "the content of the full disk" "$(ls "$work/disk")" ""
	same "leftovers on it" "$(find "$work/disk" -name '*.partial')" ""
	mount -o remount,ro "$work/disk"
	refused 73 'Read-only' nexus-backup --backup-dir="$work/disk"
	umount "$work/disk"
}

second_run_is_75() {
	refused 75 'held by' flock "$backups/.lock" nexus-backup
}

dry_run_writes_nothing() {
	local before plan
	before=$(ls -A "$backups")
	plan=$(nexus-backup --dry-run --json)
	same "the content of the directory" "$(ls -A "$backups")" "$before"
	same "whether it fits" "$(jq .fits <<<"$plan")" true
	jq -e '.tables[] | select(.table == "zep_episodic_memory") | .format == "binary"' <<<"$plan" >/dev/null
	nexus-backup --dry-run | found 'it fits'
}

redis_is_backed_up_if_a_key_never_expires() {
	redis SET backup:forever yes >/dev/null
	nexus-backup --redis=auto --json >"$work/done.json"
	same "Redis is in" "$(jq .redis "$work/done.json")" true
	age -d -i "$owner" "$(jq -r .path "$work/done.json")/redis.rdb.zst.age" | zstd -dc >"$work/dump.rdb"
	docker cp -q "$work/dump.rdb" nexus-redis:/tmp/ 2>/dev/null || docker exec -i nexus-redis sh -c 'cat >/tmp/dump.rdb' <"$work/dump.rdb"
	docker exec nexus-redis redis-check-rdb /tmp/dump.rdb | found 'RDB looks OK'
	grep -qa backup:forever "$work/dump.rdb"
	redis DEL backup:forever >/dev/null
	nexus-backup --redis=no --json >"$work/done.json"
	same "Redis is in" "$(jq .redis "$work/done.json")" false
}

# No secret is visible during a backup and after it.
no_secret_shows_while_it_runs() {
	local secrets=$work/secrets found='' looks=0
	for secret in postgres_password nexus_app_password nexus_embed_password redis_password redis_api_password machine_identity; do
		grep -v '^#' "$keys/$secret"
	done >"$secrets"
	systemctl start --no-block nexus-backup
	while [[ $(systemctl show --property=ActiveState --value nexus-backup) == activating ]]; do
		# A process may end between the listing and the reading.
		found+=$(grep -lFaf "$secrets" /proc/[0-9]*/{cmdline,environ} 2>/dev/null || true)
		looks=$((looks + 1))
	done
	((looks > 0))
	found+=$(journalctl --no-pager --output=export --since=-1h | grep -Faf "$secrets" || true)
	same "where a secret was found" "$found" ""
	systemctl is-failed --quiet nexus-backup && return 1
	return 0
}

old_sets_rotate_away() {
	local directory=$work/rotate day
	install -d -m 700 "$directory"
	for day in $(seq 1 20); do
		install -d "$directory/$(printf '%06d' "$day")-$(date -u -d "2025-01-01 +$day days" +%Y%m%dT030000Z)"
	done
	backup_of nexus "$directory" --keep-days=14
	# The newest came long after the others: that step counts as two days, each other one as one.
	same "remaining sets" "$(sets "$directory" | wc -l)" 14
	same "the oldest left" "$(sets "$directory" | head -n 1 | cut -c1-6)" 000008
}

fill
check unit_writes_a_whole_set
check the_journal_has_the_fields
check stock_tools_restore_the_memory
check set_is_of_one_instant
check copy_gives_way_to_others
check wrong_password_is_77
check role_that_may_not_see_all_is_77
check missing_recipient_is_78
check wrong_settings_are_78
check stopped_server_is_69
check full_disk_is_73
check second_run_is_75
check dry_run_writes_nothing
check redis_is_backed_up_if_a_key_never_expires
check no_secret_shows_while_it_runs
check old_sets_rotate_away
report
