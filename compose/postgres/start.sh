#!/usr/bin/env bash
# PostgreSQL's entrypoint in its container. It replaces the image's own for two reasons:
#   - the image's exports the superuser's password into the server's environment;
#   - after an interrupted first start, the image's takes the incomplete cluster for a complete one.
# This script creates the cluster beside its final place and moves it there with one rename; then migrate.sh takes over.
set -euo pipefail
umask 077
# Without a trap, bash ignores the SIGINT that stops the container while a command runs that survives it.
trap 'exit 143' INT TERM

# Never start with an empty cluster because the existing one has another version. (A throwaway server's directory names no version.)
program=$(postgres --version | grep -oE '[0-9]+' | head -n 1)
if [[ $PGDATA =~ ^/var/lib/postgresql/([0-9]+)/ && ${BASH_REMATCH[1]} != "$program" ]]; then
	echo "nexus: the image is PostgreSQL $program, but the memory was made with PostgreSQL ${BASH_REMATCH[1]} (NEXUS_POSTGRES_MAJOR). Set the image back in nexus.env, then run nexus-upgrade-postgres IMAGE" >&2
	exit 1
fi

# refuse_new_memory WHY: the container restarts in a loop, logs this each time, and leaves the volume unchanged.
refuse_new_memory() {
	echo "nexus: refusing to create an empty memory: $1. Bring back the disk or the volume that holds it (docker volume ls), or start with an empty memory and restore a backup into it: nexus-setup --new-memory" >&2
	exit 1
}

# After the loss of a memory, an empty one would seem healthy, and its backups would replace the full ones.
# Root owns both files, outside of the volume: nexus-stack.service creates one once there is a memory; nexus-setup --new-memory
# and nexus-upgrade-postgres create the other.
if [[ ! -s $PGDATA/PG_VERSION && $PGDATA =~ ^/var/lib/postgresql/([0-9]+)/ ]]; then
	major=${BASH_REMATCH[1]}
	if [[ ! -e /etc/postgresql/new-memory || $(</etc/postgresql/new-memory) != "$major" ]]; then
		for cluster in /var/lib/postgresql/[0-9]*/docker/PG_VERSION; do
			if [[ -s $cluster ]]; then refuse_new_memory "NEXUS_POSTGRES_MAJOR is $major, but the memory was made with PostgreSQL $(<"$cluster")"; fi
		done
		if [[ -e /etc/postgresql/memory-made ]]; then refuse_new_memory "this machine has had one, and $PGDATA is empty"; fi
	fi
fi

if [[ ! -s $PGDATA/PG_VERSION ]]; then
	echo "nexus: making a new database cluster in $PGDATA"
	new=$PGDATA.new
	rm -rf "$new"
	mkdir -p "$(dirname "$PGDATA")"
	# The builtin collation does not depend on the C library or the image's Debian, so an upgrade of the image never
	# invalidates an index on text. Every login needs its password, also over the socket.
	# NEXUS_INITDB_OPTIONS: a throwaway server need not wait for the disk.
	# In the background, because bash handles a signal only between two commands of the foreground.
	# shellcheck disable=SC2086 # it is a list of words
	initdb ${NEXUS_INITDB_OPTIONS-} --pgdata="$new" --username=postgres --pwfile=/run/secrets/postgres_password \
		--auth-local=scram-sha-256 --auth-host=scram-sha-256 --data-checksums \
		--encoding=UTF8 --locale=C.UTF-8 --locale-provider=builtin --builtin-locale=C.UTF-8 &
	wait "$!"
	if [[ -d $PGDATA ]]; then
		rmdir "$PGDATA" # fails if it is not empty: then it is a cluster without its PG_VERSION
	fi
	mv --no-target-directory "$new" "$PGDATA"
	sync "$(dirname "$PGDATA")"
fi

# The socket's lock file outlives a killed container, because its directory is the host's, and names a process number of
# that container. No other server can listen here: this container is the only one with this name.
rm -f /var/run/postgresql/.s.PGSQL.5432.lock
# NEXUS_POSTGRES_OPTIONS: what nexus-upgrade-postgres adds while it works.
# shellcheck disable=SC2086 # it is a list of words
exec "$@" ${NEXUS_POSTGRES_OPTIONS-}
