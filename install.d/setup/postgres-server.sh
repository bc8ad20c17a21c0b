# Manages the servers of a major upgrade: finds the clusters, and starts one where only root reaches it.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

# The directory of PostgreSQL's socket while nexus-upgrade-postgres works: programs find none in the usual place.
private=/run/nexus/upgrade

# Prints the directory that holds one cluster for each major version.
clusters() { docker volume inspect --format '{{.Mountpoint}}' nexus_postgres_data; }

# Patterns of a version and of an image in a file.
a_major='^[1-9][0-9]?$' an_image='^[A-Za-z0-9][A-Za-z0-9._:/@-]*$'

healthy_memory() {
	systemctl is-active --quiet nexus-stack.service && [[ $(docker inspect --format '{{.State.Health.Status}}' nexus-postgres) == healthy ]]
}

# major_of IMAGE: prints the major version of its PostgreSQL; fetches the image if needed.
major_of() {
	local said
	docker image inspect "$1" >/dev/null 2>&1 || docker pull --quiet "$1" >/dev/null || stop 69 "the image $1 is not here and could not be fetched"
	said=$(docker run --rm --network none --entrypoint postgres "$1" --version) || stop 65 "$1 has no program postgres"
	[[ $said =~ ^postgres\ \(PostgreSQL\)\ ([0-9]+) ]] || stop 65 "$1 reports an unknown version: $said"
	printf '%s' "${BASH_REMATCH[1]}"
}

# no_limits MAJOR: prints options that switch off the owner's time limits for our sessions.
no_limits() {
	local name
	for name in statement_timeout lock_timeout idle_in_transaction_session_timeout idle_session_timeout; do printf -- '-c %s=0 ' "$name"; done
	if (($1 >= 17)); then printf -- '-c transaction_timeout=0'; fi
}

# serve_privately IMAGE MAJOR [OPTIONS]: starts the server of this cluster where only root reaches it. Does not use the image and
# version of the settings.
serve_privately() {
	local refusal
	# A backup may have taken hours since the last look.
	refusal=$(docker_refusal memory)
	[[ -z $refusal ]] || { complain "$refusal" && return 1; }
	install -d --mode=0700 --owner=999 --group=999 "$private"
	limits=$(no_limits "$2")
	NEXUS_POSTGRES_IMAGE=$1 NEXUS_POSTGRES_MAJOR=$2 \
		NEXUS_POSTGRES_OPTIONS="-c listen_addresses= -c unix_socket_directories=/var/run/postgresql $limits ${3-}" \
		COMPOSE_FILE=$share/compose/docker-compose.yml:/etc/nexus/compose.override.yml:$share/compose/upgrade.yml COMPOSE_ENV_FILES=$settings COMPOSE_PROGRESS=quiet \
		docker compose up --detach --wait --no-deps postgres || return
	container=$(started)
}

# Prints the container's id and start time, which change if it is replaced or restarted.
started() { docker inspect --format '{{.Id}} {{.State.StartedAt}}' nexus-postgres; }

require_same_server() { [[ $(started) == "$container" ]] || stop 69 "another program restarted the server during the upgrade: journalctl -u nexus-stack"; }

# Whether the server would start with its present settings files, which may have changed since it started.
# shellcheck disable=SC2016 # the other shell expands it
starts_again() { guarded docker exec nexus-postgres bash -c 'postgres -C max_connections -D "$PGDATA" -c config_file=/etc/postgresql/postgresql.conf' >/dev/null; }

restart_server() {
	docker restart nexus-postgres >/dev/null
	local end=$((SECONDS + 600))
	until [[ $(docker inspect --format '{{.State.Health.Status}}' nexus-postgres) == healthy ]]; do
		[[ $(docker inspect --format '{{.State.Running}}' nexus-postgres) == true ]] && ((SECONDS < end)) || return 1
		sleep 0.5
	done
	container=$(started)
}

# in_database NAME OPTION…: runs psql there as the superuser. Without its search_path, roles could put functions in the place of the
# server's.
in_database() {
	guarded docker exec --interactive --env PGOPTIONS="$limits -c client_min_messages=warning -c search_path=pg_catalog -c role=none" nexus-postgres \
		psql -XAtq --set=ON_ERROR_STOP=1 --dbname="$(connection_to "$1")" "${@:2}"
}

# connection_to NAME: prints a connection string, because libpq would read a bare name with an equals sign as one.
connection_to() {
	local quoted=${1//\\/\\\\}
	printf "dbname='%s'" "${quoted//\'/\\\'}"
}

# Prints the number of the next transaction that writes. While it stays the same, no session has written.
next_transaction() { in_database postgres --command='SELECT pg_snapshot_xmax(pg_current_snapshot())'; }

# require_no_writes IMAGE MAJOR NUMBER: stops unless the cluster's next transaction is still NUMBER. Reads the cluster itself, after its
# server has ended.
require_no_writes() {
	local said state next
	said=$(docker run --rm --network none --user 999:999 --volume "$(clusters):/clusters:ro" --env LC_ALL=C --entrypoint pg_controldata "$1" "/clusters/$2/docker")
	state=$(sed -n 's/^Database cluster state: *//p' <<<"$said")
	[[ $state == "shut down" ]] || stop 74 "PostgreSQL $2 did not shut down cleanly (it is \"$state\"): docker logs nexus-postgres"
	next=$(sed -n "s/^Latest checkpoint's NextXID: *//p" <<<"$said")
	[[ $next =~ ^[0-9]+:[0-9]+$ ]] || stop 74 "pg_controldata prints an unknown next transaction: $next"
	next=$(((${next%:*} << 32) + ${next#*:}))
	[[ $next == "$3" ]] || stop 74 "another session wrote during the backup (a superuser can, despite default_transaction_read_only): the backup may lack what it wrote. Let that session end, then upgrade again"
}

reload_stack() {
	systemctl reload-or-restart nexus-stack.service || complain "the server did not start: journalctl -u nexus-stack; docker logs nexus-postgres"
}

# switch_settings IMAGE MAJOR: writes both settings by one rename. The shipped image needs no setting.
switch_settings() {
	local image=$1
	if [[ $image == "$(shipped_postgres_image)" ]]; then image=''; fi
	set_settings "NEXUS_POSTGRES_IMAGE=$image" "NEXUS_POSTGRES_MAJOR=$2"
}
