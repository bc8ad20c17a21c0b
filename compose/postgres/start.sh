#!/usr/bin/env bash
# PostgreSQL's entrypoint in its container; replaces the image's own for two reasons:
#   - that one exports the superuser's password into the environment of the server, for as long as the server lives;
#   - when its first start is cut short, it takes the half-made cluster for a whole one at the next.
# Here the cluster is made beside its final place and moved there in one rename; migrate.sh does what comes after.
set -euo pipefail
umask 077
# Without a trap, bash ignores the SIGINT that stops the container while a command runs that survives it.
trap 'exit 143' INT TERM

# A cluster of another version is no reason to begin with an empty one. (A throwaway server's directory has no version's name.)
program=$(postgres --version | grep -oE '[0-9]+' | head -n 1)
if [[ $PGDATA =~ ^/var/lib/postgresql/([0-9]+)/ && ${BASH_REMATCH[1]} != "$program" ]]; then
	echo "nexus: the image is PostgreSQL $program and the memory is ${BASH_REMATCH[1]}'s (NEXUS_POSTGRES_MAJOR): set the image back, then nexus-upgrade-postgres IMAGE" >&2
	exit 1
fi

# refuse_new_memory WHY: the container restarts in a loop, logs this each time, and leaves the volume unchanged.
refuse_new_memory() {
	echo "nexus: refusing to create an empty memory: $1. Bring back the disk or the volume that holds it (docker volume ls), or start with an empty memory and restore a backup into it: nexus-setup --new-memory" >&2
	exit 1
}

# After the loss of a memory, an empty one would answer as if nothing were wrong, and its backups would replace the full ones.
# Root owns both files, outside of the volume: nexus-stack.service creates one once there is a memory; nexus-setup --new-memory
# and nexus-upgrade-postgres create the other.
if [[ ! -s $PGDATA/PG_VERSION && $PGDATA =~ ^/var/lib/postgresql/([0-9]+)/ ]]; then
	major=${BASH_REMATCH[1]}
	if [[ ! -e /etc/postgresql/new-memory || $(</etc/postgresql/new-memory) != "$major" ]]; then
		for cluster in /var/lib/postgresql/[0-9]*/docker/PG_VERSION; do
			if [[ -s $cluster ]]; then refuse_new_memory "NEXUS_POSTGRES_MAJOR is $major, but the memory is of PostgreSQL $(<"$cluster")"; fi
		done
		if [[ -e /etc/postgresql/memory-made ]]; then refuse_new_memory "this machine has had one, and $PGDATA is empty"; fi
	fi
fi

if [[ ! -s $PGDATA/PG_VERSION ]]; then
	echo "nexus: making a new database cluster in $PGDATA"
	new=$PGDATA.new
	rm -rf "$new"
	mkdir -p "$(dirname "$PGDATA")"
	# The builtin collation changes neither with the C library nor with the image's Debian, so no index on text ever
	# goes stale by an upgrade of the image. Every login needs its password, also over the socket.
	# NEXUS_INITDB_OPTIONS: a throwaway server need not wait for the disk.
	# In the background: bash handles a signal only between two commands of the foreground.
	# shellcheck disable=SC2086 # it is a list of words
	initdb ${NEXUS_INITDB_OPTIONS-} --pgdata="$new" --username=postgres --pwfile=/run/secrets/postgres_password \
		--auth-local=scram-sha-256 --auth-host=scram-sha-256 --data-checksums \
		--encoding=UTF8 --locale=C.UTF-8 --locale-provider=builtin --builtin-locale=C.UTF-8 &
	wait "$!"
	if [[ -d $PGDATA ]]; then
		rmdir "$PGDATA" # empty, or this is a cluster without its PG_VERSION, and nobody's to overwrite
	fi
	mv --no-target-directory "$new" "$PGDATA"
	sync "$(dirname "$PGDATA")"
fi

# The socket's lock file outlives a killed container (its directory is the host's) and names a process number of
# that container's. No other server can be listening here: this container is the only one with this name.
rm -f /var/run/postgresql/.s.PGSQL.5432.lock
# NEXUS_POSTGRES_OPTIONS: what nexus-upgrade-postgres adds while it works.
# shellcheck disable=SC2086 # it is a list of words
exec "$@" ${NEXUS_POSTGRES_OPTIONS-}
