# Faults that nexus-health repairs by itself.
# shellcheck shell=bash disable=SC2154 # work and here are the caller's

# Prints the host's PID of the server's main process.
main_process() {
	local name=postgres
	if [[ $1 == redis ]]; then name=redis-server; fi
	docker top "nexus-$1" -eo pid,comm | awk -v name="$name" '$2 == name { print $1; exit }'
}

serves_again_after() {
	local how=$1 server=$2 limit=$3 began=$SECONDS pid
	await 60 serves "$server"
	# Waits until earlier findings are over.
	await 120 is_level "$server" ok
	from_here
	case $how in
	hang)
		pid=$(main_process "$server")
		kill -STOP "$pid"
		fails '' serves "$server"
		;;
	kill) docker kill "nexus-$server" >/dev/null ;;
	esac
	await "$limit" serves "$server"
	echo "$server after $how: $((SECONDS - began)) s" >>"$work/times"
	same "the repairs" "$(mended | wc -l)" 1
	await 120 is_level "$server" ok
	same "the reported levels" "$(reported "$server")" "critical ok"
}

docker_stopped_and_started() {
	from_here
	systemctl stop docker.socket docker.service
	await 120 is_level docker critical
	start_docker
	await 90 serves postgres
	await 90 serves redis
	await 120 is_level docker ok
	await 120 is_level postgres ok
	same "the reported levels of Docker" "$(reported docker)" "critical ok"
}

the_socket_directory_is_made_again() {
	from_here
	rm -rf /run/nexus/postgres
	await 90 serves postgres
	same "its owner and mode" "$(stat --format='%u:%g %a' /run/nexus/postgres)" "999:999 755"
	await 120 is_level postgres ok
	# Unmounts the gate itself, with everything in it.
	umount /run/nexus/scratch
	rm -rf /run/nexus
	await 120 serves postgres
	await 120 serves redis
	await 60 test -S /run/nexus/docker.sock
	await 60 test -S /run/nexus/purge.sock
	await 60 mountpoint --quiet /run/nexus/scratch
	getfacl --omit-header --absolute-names /run/nexus | found -x 'user:nexus-api:--x'
	await 120 is_level redis ok
	await 120 is_level docker ok
}

a_stack_that_is_down_is_started() {
	from_here
	systemctl stop nexus-stack.service
	await 110 systemctl is-active --quiet nexus-stack.service
	await 60 serves postgres
	mended | found 'asking systemd to start the stack'
	await 120 is_level stack ok
}

# nexus-health stops with its target. If it runs alone, it must start nothing.
what_a_person_stopped_stays_down() {
	systemctl stop nexus.target
	await 60 stopped
	systemctl start nexus-health.service
	from_here
	touch /var/lib/nexus/health/want-stack
	await 120 is_level stack warning
	stopped
	systemctl start nexus.target
	await 60 serves postgres
	await 120 is_level stack ok
	same "the repairs" "$(mended | wc -l)" 0
}
stopped() { [[ -z $(docker ps --quiet --filter name=nexus-) ]]; }

# A foreign image has the labels of the stack's PostgreSQL and a health check that fails. nexus-health would restart
# PostgreSQL after two minutes.
labels_of_others_restart_nothing() {
	local labels=com.docker.compose image=others:unhealthy started
	from_here
	trap 'docker rm --force --volumes others >/dev/null; docker rmi others:unhealthy >/dev/null' EXIT
	docker create --name others "$(docker inspect --format '{{.Config.Image}}' nexus-redis)" >/dev/null
	docker commit --change "LABEL $labels.project=nexus-memory-stack $labels.service=postgres" --change 'ENTRYPOINT ["sleep", "infinity"]' \
		--change 'HEALTHCHECK --interval=1s --retries=1 CMD false' others "$image" >/dev/null
	docker rm --volumes others >/dev/null
	started=$(docker inspect --format '{{.State.StartedAt}}' nexus-postgres)
	docker run --detach --init --name others "$image" >/dev/null
	await 60 has_failed 140
	same "its labels and health" "$(docker inspect --format "{{index .Config.Labels \"$labels.service\"}} {{.State.Health.Status}}" others)" "postgres unhealthy"
	same "the start of PostgreSQL" "$(docker inspect --format '{{.State.StartedAt}}' nexus-postgres)" "$started"
	same "the repairs" "$(mended)" ""
	same "the finding" "$(level_of containers)" ok
}
# has_failed TIMES: whether its health check, which runs every second, has.
has_failed() { (($(docker inspect --format '{{.State.Health.FailingStreak}}' others) >= $1)); }

# Makes leftovers of a killed restore test and a killed backup. nexus-health waits a minute before it removes them; other checks run
# meanwhile.
leave_leftovers() {
	local image
	from_here
	left_since=$cursor
	image=$(docker inspect --format '{{.Image}}' nexus-postgres)
	docker create --name nexus-scratch-left --label nexus.scratch --network none "$image" >/dev/null
	install -d -o nexus -g nexus "$partial" "$partial/data"
}
partial=/var/lib/nexus/backups/.000099-20200101T000000Z.partial
leftovers_are_swept() {
	cursor=$left_since
	await 100 gone "$partial"
	await 200 no_scratch
	same "the repairs" "$(mended | grep -c '^removing')" 2
}
gone() { [[ ! -e $1 ]]; }
no_scratch() { [[ -z $(docker ps --all --quiet --filter label=nexus.scratch) ]]; }

no_more_often_than_allowed() {
	setting NEXUS_HEAL_PER_HOUR=1
	restart_health
	serves_again_after kill redis 90
	docker kill nexus-redis >/dev/null
	await 120 is_level healing critical
	same "the repairs" "$(mended | wc -l)" 1
	docker start nexus-redis >/dev/null
	await 120 is_level healing ok
	setting NEXUS_HEAL_PER_HOUR=20
	restart_health
}

nothing_is_repaired_with_healing_off() {
	setting NEXUS_HEAL=off
	restart_health
	from_here
	docker kill nexus-redis >/dev/null
	await 120 is_level redis critical
	# Longer than its wait before a repair.
	await 40 lasts 30
	same "the repairs" "$(mended | wc -l)" 0
	docker start nexus-redis >/dev/null
	setting NEXUS_HEAL=on
	restart_health
	await 120 is_level redis ok
}
# lasts SECONDS: whether Redis has been critical for so long.
lasts() {
	local since
	since=$(date --date="$(jq --raw-output '.findings[] | select(.id == "redis") | .since' "$health")" +%s)
	(($(date +%s) - since >= $1))
}
