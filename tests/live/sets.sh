# For tests of backup sets, inside an installed machine: makes them, and checks what must hold for each.
# shellcheck shell=bash disable=SC2034 # what one part sets, another reads

backups=/var/lib/nexus/backups
owner=${NEXUS_TEST_OWNER:-/root/owner-of-the-test.txt}

# Prints the complete sets of a directory, oldest first.
sets() { find "${1:-$backups}" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' -printf '%f\n' | sort -n; }
newest() { sets "$@" | tail -n 1; }

# Runs nexus-backup for the given database and directory, with the machine's settings.
backup_of() {
	local database=$1 directory=$2
	shift 2
	install -d -m 700 "$directory"
	nexus-backup --pg-database="$database" --backup-dir="$directory" --redis=no "$@"
}

# Every set of a directory must be complete, and no other entry may look like a set.
all_whole() {
	local set
	for set in $(sets "$1"); do
		(cd "$1/$set" && sha256sum --quiet --check SHA256SUMS)
		same "files of $set that no checksum covers" "$(cd "$1/$set" && find . -type f ! -name SHA256SUMS -printf '%P\n' | sort)" "$(cut -c67- "$1/$set/SHA256SUMS" | sort)"
	done
}

# Whether a dead or ended job has left no processes and no sessions in the server. Ignores services, which always have sessions.
nothing_runs() {
	local left
	left=$(pgrep -a 'pg_dump|nexus-backup' || true)
	left+=$(docker exec nexus-postgres psql -XAtq --command="SELECT pid, application_name, query FROM pg_stat_activity WHERE application_name ~ 'pg_dump|nexus-(backup|restore|purge)'") || return
	[[ -z $left ]] || {
		printf 'left: %s\n' "$left" >&2
		return 1
	}
}

# Prints a line for each table of a database: its name, its number of rows, and the MD5 of its sorted rows.
contents() {
	docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname="$1" <<'SQL'
SET search_path = ''; SET TimeZone = 'UTC'; SET extra_float_digits = 3;
SELECT format('SELECT %L, count(*), md5(coalesce(string_agg(md5(t::text), '''' ORDER BY md5(t::text)), '''')) FROM ONLY %I.%I t',
  n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY n.nspname, c.relname \gexec
SQL
}

# Prints the definitions of a database, from pg_dump, without rows and without the database's name.
definitions() { docker exec nexus-postgres pg_dump --schema-only --restrict-key=x "$1" | grep -v '^-- '; }
