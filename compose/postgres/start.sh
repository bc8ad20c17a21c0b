#!/usr/bin/env bash
# PostgreSQL's entrypoint in its container; replaces the image's own for two reasons:
#   - that one exports the superuser's password into the environment of the server, for as long as the server lives;
#   - when its first start is cut short, it takes the half-made cluster for a whole one at the next.
# Here the cluster is made beside its final place and moved there in one rename; migrate.sh does what comes after.
set -euo pipefail
umask 077

# A cluster of another version is no reason to begin with an empty one. (A throwaway server's directory has no version's name.)
program=$(postgres --version | grep -oE '[0-9]+' | head -n 1)
if [[ $PGDATA =~ ^/var/lib/postgresql/([0-9]+)/ && ${BASH_REMATCH[1]} != "$program" ]]; then
	echo "nexus: the image is PostgreSQL $program and the memory is ${BASH_REMATCH[1]}'s (NEXUS_POSTGRES_MAJOR): set the image back, then nexus-upgrade-postgres IMAGE" >&2
	exit 1
fi

if [[ ! -s $PGDATA/PG_VERSION ]]; then
	echo "nexus: making a new database cluster in $PGDATA"
	new=$PGDATA.new
	rm -rf "$new"
	mkdir -p "$(dirname "$PGDATA")"
	# The builtin collation changes neither with the C library nor with the image's Debian, so no index on text ever
	# goes stale by an upgrade of the image. Every login needs its password, also over the socket.
	# NEXUS_INITDB_OPTIONS: a throwaway server need not wait for the disk.
	# shellcheck disable=SC2086 # it is a list of words
	initdb ${NEXUS_INITDB_OPTIONS-} --pgdata="$new" --username=postgres --pwfile=/run/secrets/postgres_password \
		--auth-local=scram-sha-256 --auth-host=scram-sha-256 --data-checksums \
		--encoding=UTF8 --locale=C.UTF-8 --locale-provider=builtin --builtin-locale=C.UTF-8
	if [[ -d $PGDATA ]]; then
		rmdir "$PGDATA" # empty, or this is a cluster without its PG_VERSION, and nobody's to overwrite
	fi
	mv --no-target-directory "$new" "$PGDATA"
	sync "$(dirname "$PGDATA")"
fi

# The socket's lock file outlives a killed container (its directory is the host's) and names a process number of
# that container's. No other server can be listening here: this container is the only one with this name.
rm -f /var/run/postgresql/.s.PGSQL.5432.lock
exec "$@"
