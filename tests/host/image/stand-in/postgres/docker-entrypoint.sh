#!/bin/bash
# The first start creates the database cluster and runs the files in /docker-entrypoint-initdb.d. Every start becomes the server.
# This script does what NEXUS needs of the official image's script.

set -Eeuo pipefail

fail() {
	printf 'docker-entrypoint: %s\n' "$*" >&2
	exit 1
}

# setting NAME [DEFAULT]: exports NAME, taken from NAME or from the file that NAME_FILE names.
setting() {
	local name=$1 file=${1}_FILE value=${2-}
	[[ -z ${!name-} || -z ${!file-} ]] || fail "both $name and $file are set; set one of them"
	if [[ ${!name-} ]]; then value=${!name}; fi
	if [[ ${!file-} ]]; then value=$(<"${!file}") || fail "cannot read $file (${!file})"; fi
	export "$name=$value"
	unset "$file"
}

read_settings() {
	setting POSTGRES_PASSWORD
	setting POSTGRES_USER postgres
	setting POSTGRES_DB "$POSTGRES_USER"
	setting POSTGRES_INITDB_ARGS
	: "${POSTGRES_HOST_AUTH_METHOD:=scram-sha-256}"
	[[ $POSTGRES_PASSWORD || $POSTGRES_HOST_AUTH_METHOD == trust ]] ||
		fail "the database needs a password for '$POSTGRES_USER': set POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD"
}

make_cluster() {
	# eval, because POSTGRES_INITDB_ARGS holds words as a shell splits them.
	if [[ $POSTGRES_PASSWORD ]]; then
		eval 'initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD")' \
			"$POSTGRES_INITDB_ARGS"
	else
		eval 'initdb --pgdata="$PGDATA" --username="$POSTGRES_USER"' "$POSTGRES_INITDB_ARGS"
	fi
	printf '\nhost all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
}

# During the setup, the server listens only on its Unix socket.
temporary_server() {
	pg_ctl --pgdata="$PGDATA" --wait --options="$(printf '%q ' "${@:2}" -c listen_addresses= -p 5432)" start
}

run_sql() {
	psql -v ON_ERROR_STOP=1 --no-psqlrc --username="$POSTGRES_USER" --no-password \
		${database:+--dbname="$database"} "$@"
}

make_database() {
	local database=postgres exists
	exists=$(run_sql --tuples-only --no-align --set=db="$POSTGRES_DB" <<<"SELECT 1 FROM pg_database WHERE datname = :'db'")
	[[ $exists ]] || run_sql --set=db="$POSTGRES_DB" <<<'CREATE DATABASE :"db"'
}

run_init_files() {
	local file database=$POSTGRES_DB
	for file in /docker-entrypoint-initdb.d/*; do
		printf 'docker-entrypoint: %s\n' "$file"
		case $file in
		*.sh)
			# Like the official script, this one sources a script that is not executable.
			# shellcheck source=/dev/null
			if [[ -x $file ]]; then "$file"; else . "$file"; fi
			;;
		*.sql) run_sql --file="$file" ;;
		*.sql.gz) gunzip --stdout "$file" | run_sql ;;
		*.sql.xz) xz --decompress --stdout "$file" | run_sql ;;
		*.sql.zst) zstd --decompress --stdout "$file" | run_sql ;;
		'/docker-entrypoint-initdb.d/*') ;;
		*) printf 'docker-entrypoint: ignoring %s\n' "$file" ;;
		esac
	done
}

first_start() {
	read_settings
	# Fails here if the directory cannot be read; otherwise the mistake would look like an empty database.
	ls /docker-entrypoint-initdb.d/ >/dev/null
	make_cluster
	export PGPASSWORD=$POSTGRES_PASSWORD
	temporary_server "$@"
	make_database
	run_init_files
	pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
	unset PGPASSWORD
	echo 'docker-entrypoint: created the database; starting the server'
}

[[ ${1-postgres} != -* ]] || set -- postgres "$@"

if [[ $1 == postgres && " $* " != *' --help '* && " $* " != *' --version '* ]]; then
	if [[ $(id -u) == 0 ]]; then
		mkdir -p "$PGDATA" /var/run/postgresql
		chmod 700 "$PGDATA"
		chmod 3775 /var/run/postgresql
		find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres {} +
		exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$BASH" "$0" "$@"
	fi
	mkdir -p "$PGDATA"
	chmod 700 "$PGDATA" || true
	[[ -s $PGDATA/PG_VERSION ]] || first_start "$@"
fi

exec "$@"
