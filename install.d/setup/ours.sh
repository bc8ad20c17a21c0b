# Finds out which containers and volumes of this machine are NEXUS's. NEXUS never stops or removes others, and never advises it.
# The package's scripts include this file after printable.sh and accounts.sh, the only other files that it needs.
# shellcheck shell=bash disable=SC2034 # what one part sets, another reads

# Always use this machine's own daemon. `docker context use` or the environment may name another one, where the memory is empty.
export DOCKER_HOST=unix:///run/docker.sock
unset DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_API_VERSION COMPOSE_PROFILES COMPOSE_PATH_SEPARATOR
export COMPOSE_PROJECT_NAME=nexus-memory-stack

memory_containers=(nexus-postgres nexus-redis)
memory_volumes=(nexus_postgres_data nexus_redis_data)
metrics_containers=(nexus-exporter nexus-prometheus nexus-grafana)
metrics_volumes=(nexus_prometheus_data nexus_grafana_data)
proxy_containers=(nexus-proxy)
proxy_volumes=()
label_of_volumes=nexus.stack=memory

# is_ours NAME PROJECT FILES: whether a container is NEXUS's, by its name and by its labels, as containers prints them. A container has
# any label that its image brings, but the one who runs it chooses its name, and Docker gives a name only once. Compose puts an id
# before it while it replaces a container. Until 0.1.0 the project was called `nexus`, a name that other projects may have too: the path
# of the Compose file distinguishes them.
is_ours() {
	[[ $1 =~ ^([0-9a-f]{12}_)?nexus-(postgres|redis|exporter|prometheus|grafana|proxy)$ ]] &&
		[[ $2 == '"nexus-memory-stack"' || ($2 == '"nexus"' && $3 =~ ^\"/usr/(local/)?share/nexus/compose/docker-compose\.yml[,\"]) ]]
}

# containers [OPTION]…: prints ID, NAME, PROJECT and FILES of each container, running or not, with tabs between them. Options are those
# of docker ps. The labels are in JSON, which has no tab and no line feed: with those, a container could pass for another one.
containers() {
	local ids
	mapfile -t ids < <(docker ps --all --no-trunc --quiet "$@" | grep -xE '[0-9a-f]{64}')
	((${#ids[@]})) || return 0
	docker inspect --type container --format '{{.Id}}{{"\t"}}{{slice .Name 1}}{{"\t"}}{{json (index .Config.Labels "com.docker.compose.project")}}{{"\t"}}{{json (index .Config.Labels "com.docker.compose.project.config_files")}}' "${ids[@]}" |
		grep -E $'^[0-9a-f]{64}\t'
}

# ids_of_nexus [OPTION]…: prints the ids of NEXUS's containers. Options are those of docker ps.
ids_of_nexus() {
	local id name project files
	while IFS=$'\t' read -r id name project files; do
		if is_ours "$name" "$project" "$files"; then printf '%s\n' "$id"; fi
	done < <(containers "$@")
}

# remove_containers [OPTION]…: stops NEXUS's containers, each within its time limit, and removes them.
remove_containers() {
	local ids
	mapfile -t ids < <(ids_of_nexus "$@")
	((${#ids[@]})) || return 0
	docker stop "${ids[@]}" >/dev/null && docker rm --force "${ids[@]}" >/dev/null
}

# whose PROJECT FILES: prints the project for people. Both are JSON, and null or empty where there is no such label.
whose() {
	if [[ $1 == null || $1 == '""' ]]; then
		printf 'not made by Compose'
	else
		printable "Compose project $1, $2" | sed 's/"//g; s/, \(null\)\?$//'
	fi
}

# container_in_the_way NAME…: prints another program's first container that has one of these names, with its project.
container_in_the_way() {
	local id name project files
	while IFS=$'\t' read -r id name project files; do
		if [[ " $* " == *" $name "* ]] && ! is_ours "$name" "$project" "$files"; then
			printf '%s (%s)' "$name" "$(whose "$project" "$files")"
			return
		fi
	done < <(containers)
}

# is_named_for SERVICE NAME: whether a container has the name that Compose gives to one of this service. Compose puts an id before it
# while it replaces a container. The owner's override file may name another one for a service of the owner.
is_named_for() {
	local name=$2
	if [[ $name =~ ^[0-9a-f]{12}_(.*) ]]; then name=${BASH_REMATCH[1]}; fi
	case $1 in
	postgres | redis | exporter | prometheus | grafana | proxy) [[ $name == "nexus-$1" ]] ;;
	*) [[ $name =~ ^"$COMPOSE_PROJECT_NAME-$1"-[0-9]+$ ]] ||
		grep -qE "container_name: *[\"']?${name//./\\.}([\"' ,}]|$)" /etc/nexus/compose.override.yml 2>/dev/null ;;
	esac
}

# imitation_of SERVICE…: prints another program's first container that Docker Compose would take for one of these services, by the
# labels that it looks for: it would start, replace or wait for that one.
imitation_of() {
	local service name
	for service; do
		while IFS=$'\t' read -r _ name _; do
			if ! is_named_for "$service" "$name"; then
				printf '%s' "$name"
				return
			fi
		done < <(containers --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" \
			--filter "label=com.docker.compose.service=$service" --filter label=com.docker.compose.oneoff=False)
	done
}

# containers_of_others VOLUME: prints another program's first container that mounts VOLUME.
containers_of_others() {
	local id name project files
	while IFS=$'\t' read -r id name project files; do
		if ! is_ours "$name" "$project" "$files"; then
			printf '%s (%s)' "$name" "$(whose "$project" "$files")"
			return
		fi
	done < <(containers --filter "volume=$1")
}

volume_exists() { docker volume inspect "$1" >/dev/null 2>&1; }
# Prints the volume's line for the list of what NEXUS has created.
volume_note() { docker volume inspect --format "volume $1 {{.CreatedAt}}" "$1"; }

# Whether NEXUS created the volume, by its label or by the list of what NEXUS has created.
volume_is_ours() {
	local labels
	labels=$(docker volume inspect --format '{{index .Labels "nexus.stack"}} {{index .Labels "com.docker.compose.project"}}' "$1")
	[[ $labels == "memory "* || $labels == *" nexus-memory-stack" ]] || was_created "$(volume_note "$1")"
}

# Adds the volumes of NEXUS's own containers to the list of what NEXUS has created. Earlier versions kept no list.
note_volumes() {
	local volume id name project files
	for volume in "${memory_volumes[@]}" "${metrics_volumes[@]}"; do
		volume_exists "$volume" || continue
		while IFS=$'\t' read -r id name project files; do
			if is_ours "$name" "$project" "$files"; then record_created "$(volume_note "$volume")"; fi
		done < <(containers --filter "volume=$volume")
	done
}

# docker_refusal memory|metrics|proxy [SERVICE]…: prints in one line why NEXUS may not install or start them here, with these services of
# the owner; nothing if it may.
docker_refusal() {
	local container volume user
	local -n containers_needed=$1_containers volumes_needed=$1_volumes
	container=$(container_in_the_way "${containers_needed[@]}")
	if [[ -n $container ]]; then
		echo "another program's container has a name that NEXUS needs: $container. NEXUS left it alone. Rename it (docker rename ${container%% *} OTHER), or remove it if you do not need it"
		return
	fi
	container=$(imitation_of "${containers_needed[@]#nexus-}" "${@:2}")
	if [[ -n $container ]]; then
		echo "the container $container of another program has the labels of a container of NEXUS, from its image or its command line: Docker Compose would take it for that one. NEXUS left it alone. Remove it if you do not need it, or run its image with another label (docker run --label com.docker.compose.project=OTHER)"
		return
	fi
	for volume in "${volumes_needed[@]}"; do
		if ! volume_exists "$volume" || volume_is_ours "$volume"; then continue; fi
		user=$(containers_of_others "$volume")
		if [[ -n $user ]]; then
			echo "Docker's volume $volume belongs to another project: the container $user uses it. NEXUS needs that name and left the volume alone. Give that project another name or volume (docker compose --project-name OTHER), and copy its data there"
			return
		elif [[ ! -s /etc/nexus/credentials/postgres_password ]]; then
			echo "Docker's volume $volume exists, but nothing on this machine says that NEXUS created it. NEXUS left it alone. If an earlier NEXUS created it, put /etc/nexus/credentials back from your copy; if another program did, copy its data to a volume of another name"
			return
		fi
	done
}

# remove_volumes NAME…: removes NEXUS's volumes that no other container uses. Reports those that stay on standard error.
remove_volumes() {
	local volume user
	for volume in "$@"; do
		volume_exists "$volume" || continue
		user=$(containers_of_others "$volume")
		if ! volume_is_ours "$volume"; then
			echo "nexus: Docker's volume $volume stays: nothing says that NEXUS created it" >&2
		elif [[ -n $user ]]; then
			echo "nexus: Docker's volume $volume stays: the container $user uses it" >&2
		else
			docker volume rm "$volume" >/dev/null || echo "nexus: Docker's volume $volume could not be removed: the cause is above" >&2
		fi
	done
}
