# Waits for a unit for a limited time, and reports what it waits for.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

# wait_for_unit MINUTES VERB UNIT: runs systemctl VERB UNIT, but stops waiting after MINUTES, or if a server keeps restarting.
# systemd continues the job, and the next run waits for the same job.
wait_for_unit() {
	local most=$(($1 * 60)) verb=$2 unit=$3 began=$SECONDS asking before now
	before=$(restarts)
	systemctl "$verb" "$unit" &
	asking=$!
	until timeout 15 tail --follow --sleep-interval=0.2 --pid="$asking" /dev/null; do
		say "   waiting for $unit for $((SECONDS - began)) s: $(wait_reason "$unit")"
		now=$(restarts)
		if ((now >= before + 4)); then
			kill "$asking"
			wait "$asking" || true
			complain "a server of NEXUS has exited $((now - before)) times since then"
			return 1
		elif ((SECONDS - began >= most)); then
			kill "$asking"
			wait "$asking" || true
			complain "$unit was not ready within $1 min"
			return 1
		fi
	done
	wait "$asking"
}

# Prints how often Docker has restarted the servers.
restarts() { docker inspect --format '{{.RestartCount}}' nexus-postgres nexus-redis 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }'; }

wait_reason() {
	local said=''
	if [[ $1 == nexus-stack.service ]]; then said=$(docker ps --all --filter name='^nexus-(postgres|redis)$' --format '{{.Names}} {{.Status}}' | paste -sd, | sed 's/,/, /g'); fi
	if [[ $1 == nexus.target ]]; then said=$(systemctl list-jobs --no-legend --no-pager 'nexus*' | awk '$NF == "running" { print $2 }' | paste -sd' '); fi
	if [[ -z $said ]]; then said=$(journalctl --unit="$1" --lines=1 --no-pager --output=cat 2>/dev/null); fi
	printf '%s' "${said:-no message yet}"
}
