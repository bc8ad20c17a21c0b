# Findings about databases that no set contains, timers years away, stopped jobs, failing stores, ports of others, Docker's directory,
# sandboxes. Provokes each for real, and repairs it afterwards.
# shellcheck shell=bash disable=SC2154 # work and cursor are the caller's

api=127.0.0.1:8003
drop_ins=/run/systemd/system

# sentence_of ID: prints the sentence of a finding.
sentence_of() { jq --raw-output --arg id "$1" '.findings[] | select(.id == $id) | .sentence' "$health"; }
says() { [[ $(sentence_of "$1") == *"$2"* ]]; }
# drop_in UNIT TEXT…: writes a drop-in for it.
drop_in() {
	install -D --mode=644 /dev/stdin "$drop_ins/$1.d/test.conf" < <(printf '%s\n' "${@:2}")
	systemctl daemon-reload
}
no_drop_in() {
	rm -r "$drop_ins/$1.d"
	systemctl daemon-reload
}

# The check of databases runs every 20th round, and the interval is a second here.
other_databases_are_named() {
	await 120 is_level databases ok
	as_owner --command='CREATE DATABASE notes' --command='CREATE DATABASE "nexus before 000001 20260101T000000Z"'
	docker exec nexus-postgres psql -Xq -d postgres -c 'CREATE TABLE left_here (i int)'
	await 120 is_level databases warning
	same "the message" "$(sentence_of databases)" "No backup set has the database notes, and the table public.left_here of the database postgres."
	sed -i '/^NEXUS_HEALTH_LEFT_OUT=/d' "$settings"
	echo NEXUS_HEALTH_LEFT_OUT=notes,postgres >>"$settings"
	restart_health
	await 120 is_level databases ok
	sed -i 's/^NEXUS_HEALTH_LEFT_OUT=.*/NEXUS_HEALTH_LEFT_OUT=/' "$settings"
	docker exec nexus-postgres psql -Xq -d postgres -c 'DROP TABLE left_here'
	as_owner --command='DROP DATABASE notes' --command='DROP DATABASE "nexus before 000001 20260101T000000Z"'
	restart_health
	await 120 is_level databases ok
}

# Another session locks a table that a check reads: the later queries of the round still work.
a_refused_question_is_named_and_hides_no_other() {
	local locked="SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'holder' AND state = 'idle in transaction'"
	# psql runs as long as the descriptor is open.
	coproc holder { docker exec --interactive --env=PGAPPNAME=holder nexus-postgres psql -Xq -d nexus; }
	echo 'BEGIN; LOCK nexus_memory.embedding_queue;' >&"${holder[1]}"
	await 60 is_true "$locked"
	await 120 is_level database unknown
	says database 'lock timeout'
	is_level postgres-dead-rows ok
	as_owner --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'" >/dev/null
	await 120 is_level database ok
}
is_true() { [[ $(as_owner --command="$1") == t ]]; }

# The state after a clock that was years ahead. Restarting the timer cannot correct a calendar; the test sees that nexus-health tries it.
a_timer_that_waits_for_years_is_reported_and_restarted() {
	local began
	from_here
	drop_in nexus-backup.timer '[Timer]' 'OnCalendar=' 'OnCalendar=2035-01-01 04:00'
	systemctl restart nexus-backup.timer
	began=$(systemctl show --property=ActiveEnterTimestampMonotonic --value nexus-backup.timer)
	await 120 is_level timers-late warning
	says timers-late nexus-backup.timer
	await 60 started_after "$began"
	mended | found 'asking systemd to start timers and sockets'
	no_drop_in nexus-backup.timer
	systemctl restart nexus-backup.timer
	await 120 is_level timers-late ok
}
started_after() { (($(systemctl show --property=ActiveEnterTimestampMonotonic --value nexus-backup.timer) > $1)); }

what_was_stopped_by_hand_is_named() {
	systemctl stop nexus-alert-retry.timer nexus-heal-stack.path
	await 120 is_level units-stopped warning
	says units-stopped nexus-alert-retry.timer
	says units-stopped nexus-heal-stack.path
	systemctl start nexus.target
	await 120 is_level units-stopped ok
	systemctl stop nexus-health
	{ nexus-health --once || true; } | found 'units-stopped .*nexus-health.service'
	systemctl start nexus-health
}

store() { curl --silent --output /dev/null --write-out '%{http_code}' "$api/memory/action" --json '{"action_type":"note","action_details":{"content":"health: a store"}}'; }
# At the default interval a round comes every 30 seconds, and two rounds must agree.
failed_stores_are_reported_within_a_minute() {
	local began
	setting NEXUS_HEALTH_INTERVAL=30s
	restart_health
	same "a store" "$(store)" 200
	await 60 is_level stores ok
	same "a store" "$(store)" 200
	as_owner --command="CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'" \
		--command='CREATE TRIGGER refuse BEFORE INSERT ON nexus_memory.zep_episodic_memory FOR EACH ROW EXECUTE FUNCTION public.refuse()'
	began=$SECONDS
	same "a store" "$(store)" 500
	await 70 is_level stores critical
	echo "stores that fail: reported after $((SECONDS - began)) s" >>"$work/times"
	as_owner --command='DROP TRIGGER refuse ON nexus_memory.zep_episodic_memory' --command='DROP FUNCTION public.refuse'
	# A missing right, just after a successful store.
	same "a store" "$(store)" 200
	await 120 is_level stores ok
	same "a store" "$(store)" 200
	as_owner --command='REVOKE INSERT ON nexus_memory.zep_episodic_memory FROM nexus_app'
	same "a store" "$(store)" 500
	await 70 is_level stores critical
	as_owner --command='GRANT INSERT ON nexus_memory.zep_episodic_memory TO nexus_app'
	same "a store" "$(store)" 200
	setting NEXUS_HEALTH_INTERVAL=1s
	restart_health
	await 60 is_level stores ok
	as_owner --command="DELETE FROM nexus_memory.zep_episodic_memory WHERE content = 'health: a store'"
}

# another_program_on_our_port ADDRESS LISTED SOCKET: a program that was there first. For ::1, nexus-api runs for its other addresses.
another_program_on_our_port() {
	local stranger
	systemctl stop nexus-api.socket nexus-api-ipv6.socket nexus-api.service
	runuser --user nobody -- python3 -m http.server --bind "$1" 8003 >/dev/null 2>&1 &
	stranger=$!
	await 10 listens_at "$2"
	fails '' systemctl start "$3"
	if [[ $3 == nexus-api.socket ]]; then
		# The socket on ::1 must not start alone: each request there would try in vain to start nexus-api.
		fails '' systemctl start nexus-api-ipv6.socket
		same "curl's exit code for ::1" "$(curl --silent --max-time 5 --output /dev/null "http://[::1]:8003/health" || echo $?)" 7
	else
		systemctl start nexus-api.socket nexus-api.service
		write_listeners
	fi
	await 120 says sockets "another program uses $2 (user nobody)"
	is_level sockets critical
	pkill -P "$stranger" || true
	kill "$stranger" 2>/dev/null || true
	[[ $3 == nexus-api.socket ]] || write_listeners
	await 400 systemctl is-active --quiet "$3"
	await 60 is_level sockets ok
	curl --silent --fail --output /dev/null "http://$2/health"
	same "a store" "$(store)" 200
	as_owner --command="DELETE FROM nexus_memory.zep_episodic_memory WHERE content = 'health: a store'"
}
# The timer writes the list of listeners every five minutes; the first address waits for that.
write_listeners() { systemctl start nexus-health-ports.service; }
listens_at() { ss -Htln | found -F "$1 "; }

# A kernel without IPv6 does not need the socket on ::1.
a_socket_without_use_is_no_finding() {
	drop_in nexus-api-ipv6.socket '[Unit]' 'ConditionPathExists=/nowhere'
	systemctl stop nexus-api-ipv6.socket nexus-api.service
	systemctl start nexus-api.service
	same "the socket" "$(systemctl is-active nexus-api-ipv6.socket || true)" inactive
	same "the finding" "$(nexus-health --once --json | jq --raw-output '.findings[] | select(.id == "sockets") | .level')" ok
	no_drop_in nexus-api-ipv6.socket
	systemctl restart nexus-api.service
	await 60 systemctl is-active --quiet nexus-api-ipv6.socket
}

a_missing_sandbox_is_reported() {
	await 120 is_level sandbox ok
	drop_in service '[Service]' 'PrivateNetwork=no'
	await 120 is_level sandbox warning
	says sandbox nexus-backup.service
	drop_in service '[Service]' 'LoadCredential='
	await 120 is_level credentials critical
	says credentials nexus-api.service
	no_drop_in service
	await 120 is_level sandbox ok
	await 120 is_level credentials ok
}

# PostgreSQL cannot start without our start script.
an_endless_start_is_reported() {
	drop_in nexus-stack.service '[Service]' 'ExecStartPre=false' 'RestartSec=2s'
	systemctl stop nexus-stack
	systemctl start --no-block nexus-stack
	await 120 is_level stack critical
	says stack 'systemd has tried again'
	no_drop_in nexus-stack.service
	await 120 systemctl is-active --quiet nexus-stack
	await 120 is_level stack ok
}

a_missing_channel_is_reported() {
	setting NEXUS_ALERT_COMMAND=
	restart_health
	await 120 is_level alerts warning
	says alerts 'No alert channel is configured'
	setting NEXUS_ALERT_COMMAND=/bin/true
	restart_health
	await 120 is_level alerts ok
}

# Docker's directory on its own file system, which fills up. The last check, because it recreates the containers.
dockers_own_directory_is_watched() {
	local root=/srv/docker-test
	systemctl stop nexus.target nexus-stack docker.socket docker.service
	install -d "$root"
	loop_devices
	truncate --size=6G /srv/docker-test.disk
	mkfs.ext4 -q /srv/docker-test.disk
	mount -o loop /srv/docker-test.disk "$root"
	cp -a /etc/docker/daemon.json "$work/daemon.json" 2>/dev/null || echo '{}' >"$work/daemon.json"
	cp -a /var/lib/docker/. "$root"
	jq --arg root "$root" '."data-root" = $root' "$work/daemon.json" >/etc/docker/daemon.json
	start_docker
	systemctl start nexus.target
	await 120 healthy
	await 120 is_level disk-database ok
	fallocate --length "$(df --output=avail --block-size=1 "$root" | tail -n 1 | awk '{ printf "%d", $1 * 0.97 }')" "$root/fill"
	await 120 is_level disk-database critical
	{ nexus-health --once || true; } | found '^critical *disk-database'
	rm "$root/fill"
	await 120 is_level disk-database ok
	systemctl stop nexus.target nexus-stack docker.socket docker.service
	if [[ $(<"$work/daemon.json") == '{}' ]]; then rm -f /etc/docker/daemon.json; else cp -a "$work/daemon.json" /etc/docker/daemon.json; fi
	umount "$root"
	rm -r /srv/docker-test.disk "$root"
	start_docker
	systemctl start nexus.target
	await 120 healthy
}
