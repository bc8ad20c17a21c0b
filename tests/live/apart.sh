#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Promise: a compromised job cannot reach what belongs to the other jobs. Runs an attacking program instead of a job, in that job's
# own unit. Runs inside an installed machine.
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/checks.sh"

# In a directory that every user can read, because the clone is root's.
attacks=/usr/local/lib/nexus-attacks
trap put_back EXIT

put_back() {
	rm -rf "$attacks" /run/systemd/system/nexus-*.service.d/attack.conf
	systemctl daemon-reload
	systemctl start nexus-embed.socket
}

# in_place_of UNIT GOAL…: runs attack.py in the unit, and prints its report for each goal.
in_place_of() {
	local unit=$1 cursor
	shift
	install -D --mode=0755 "$here/apart/attack.py" "$attacks/attack.py"
	install -d "/run/systemd/system/$unit.d"
	cat >"/run/systemd/system/$unit.d/attack.conf" <<-TEXT
		[Unit]
		ConditionPathExistsGlob=
		OnFailure=
		OnSuccess=
		[Service]
		Type=oneshot
		Restart=no
		WatchdogSec=0
		LogLevelMax=info
		StandardOutput=journal
		ExecStart=
		ExecStart=python3 -B $attacks/attack.py $*
	TEXT
	systemctl stop "$unit" 2>/dev/null
	systemctl daemon-reload
	cursor=$(journalctl --lines=0 --show-cursor | sed -n 's/^-- cursor: //p')
	systemctl start "$unit"
	rm "/run/systemd/system/$unit.d/attack.conf"
	systemctl daemon-reload
	journalctl --after-cursor="$cursor" --unit="$unit" --output=cat | grep -E '^(reached|kept out of) '
}

# reaches_nothing UNIT GOAL… -- CONTROL…: the attack reaches no goal, but every control, which shows that it works.
reaches_nothing() {
	local unit=$1 said goal expected=reached
	local -a goals=() controls=()
	shift
	while [[ $1 != -- ]]; do goals+=("$1") && shift; done
	controls=("${@:2}")
	said=$(in_place_of "$unit" "${goals[@]}" "${controls[@]}")
	for goal in "${controls[@]}" "${goals[@]}"; do
		if [[ $goal == "${goals[0]}" ]]; then expected="kept out of"; fi
		[[ $'\n'$said == *$'\n'"$expected $goal"* ]] || { printf '%s: not "%s %s"; all of it: %s\n' "$unit" "$expected" "$goal" "$said" >&2 && return 1; }
	done
}

process_in() { systemctl show --value --property=MainPID "$1"; }
# of_process PID: prints goals that belong to another process.
of_process() { printf 'signal:%s attach:%s open:/proc/%s/environ open:/proc/%s/mem list:/proc/%s/root list:/proc/%s/fd' "$1" "$1" "$1" "$1" "$1" "$1"; }

sockets="connect:/run/nexus/docker.sock connect:/run/nexus/purge.sock connect:/run/nexus/postgres/.s.PGSQL.5432 connect:/run/nexus/redis/redis.sock"
# The keys of services that always run: systemd keeps them there meanwhile.
api_keys="list:/run/credentials/nexus-api.service open:/run/credentials/nexus-api.service/nexus_app_password"
health_keys="list:/run/credentials/nexus-health.service open:/run/credentials/nexus-health.service/postgres_password"

# nexus-embed reads texts and models of others.
a_broken_embedder_reaches_nothing() {
	local api
	api=$(process_in nexus-api)
	# shellcheck disable=SC2046,SC2086 # these are words
	reaches_nothing nexus-embed.service $sockets connect:/run/nexus/api.sock connect:/run/nexus/embed.sock $(of_process "$api") $api_keys $health_keys \
		list:/var/lib/nexus/backups open:/etc/nexus/nexus.env -- list:/var/lib/nexus/models
}
# Its user is neither that of the jobs nor that of the API.
the_embedder_is_a_user_of_its_own() {
	same "its user" "$(systemctl show --value --property=DynamicUser nexus-embed.service)" yes
	same "its socket" "$(stat --format='%U %G %a' /run/nexus/embed.sock)" "nexus-api nexus 660"
}

# It has the network, and reads the answers of foreign servers.
a_broken_webhook_reaches_nothing() {
	local health
	health=$(process_in nexus-health)
	# It can send signals, because both run as the same user.
	# shellcheck disable=SC2046,SC2086 # these are words
	reaches_nothing nexus-alert-retry.service $sockets $(of_process "$health" | sed 's/^signal:[0-9]* //') $health_keys $api_keys \
		list:/var/lib/nexus/backups list:/run/nexus/scratch -- list:/var/lib/nexus/alerts "signal:$health"
}
# It runs programs of the owner, such as sendmail.
a_broken_mail_program_reaches_nothing() {
	local health
	health=$(process_in nexus-health)
	# shellcheck disable=SC2046,SC2086 # these are words
	reaches_nothing nexus-alert-programs.service $sockets $(of_process "$health" | sed 's/^signal:[0-9]* //') $health_keys $api_keys \
		list:/var/lib/nexus/backups list:/run/nexus/scratch write:/var/lib/nexus write:/var/lib/nexus/proofs write:/var/lib/nexus/state \
		-- write:/var/lib/nexus/alerts write:/var/tmp
}
# It reads every text, as the role nexus_embed.
a_broken_backfill_reaches_no_keys() {
	local health
	health=$(process_in nexus-health)
	# shellcheck disable=SC2046,SC2086 # these are words
	reaches_nothing nexus-embed-backfill.service connect:/run/nexus/docker.sock connect:/run/nexus/purge.sock $(of_process "$health" | sed 's/^signal:[0-9]* //') $health_keys $api_keys \
		list:/var/lib/nexus/backups -- connect:/run/nexus/postgres/.s.PGSQL.5432 connect:/run/nexus/embed.sock
}
# It restores sets that a stranger may have written.
a_broken_restore_test_reaches_no_live_server() {
	# shellcheck disable=SC2086 # these are words
	reaches_nothing nexus-restore-test.service connect:/run/nexus/postgres/.s.PGSQL.5432 connect:/run/nexus/redis/redis.sock connect:/run/nexus/purge.sock $health_keys $api_keys \
		-- connect:/run/nexus/docker.sock list:/run/nexus/scratch list:/var/lib/nexus/backups open:/run/credentials/nexus-restore-test.service/machine_identity
}

check the_embedder_is_a_user_of_its_own
check a_broken_embedder_reaches_nothing
check a_broken_webhook_reaches_nothing
check a_broken_mail_program_reaches_nothing
check a_broken_backfill_reaches_no_keys
check a_broken_restore_test_reaches_no_live_server
report
