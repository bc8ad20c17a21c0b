#!/usr/bin/env bash
# Tests nexus-alert inside an installed machine: it reports a failed unit, and each finding of nexus-health, once by every channel, and
# then its end; it keeps unsent alerts. Usage: alert.sh [before-reboot|after-reboot]; the first leaves an alert in the queue, and the
# second, after a reboot, checks its delivery.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# An absolute path, because systemd starts the web server in another directory.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Where the owner's server, mail program and command store what they receive. It survives the reboot.
work=/var/lib/alert-test
alerts=/var/lib/nexus/alerts
settings=/etc/nexus/nexus.env
secret=hunter2-Planted
install -d -m 1777 "$work"

# setting NAME VALUE: writes it into nexus.env.
setting() { sed -i "s|^$1=.*|$1=$2|" "$settings"; }

# Makes the test's units. One fails while a file exists, and has a secret in its journal.
make_the_unit() {
	cat >/etc/systemd/system/alert-test.service <<-UNIT
		[Unit]
		StartLimitIntervalSec=0
		OnFailure=nexus-alert@%N.service
		OnSuccess=nexus-alert-over@%N.service
		[Service]
		Type=oneshot
		ExecStart=/bin/sh -c 'echo "connecting with password=$secret to postgresql://nexus:$secret@db/x"; echo "Authorization: Bearer $secret"; echo marked line; test ! -e $work/broken'
	UNIT
	systemctl daemon-reload
}

make_command() {
	install -m 755 /dev/stdin "$work/tell" <<-COMMAND
		#!/bin/sh
		cat >"$work/command.\$\$"
	COMMAND
}

# server NAME PROGRAM ARGUMENT…: starts a server that notifies systemd once it is reachable.
server() { systemd-run --quiet --collect --unit="alert-test-$1" --property=Type=notify python3 "$here/$2" "${@:3}"; }
# server_up [LONGEST]: starts the web server, which refuses bodies with more bytes than LONGEST.
server_up() { server server webhook.py 8099 "$work/posts" "$@"; }
server_down() { systemctl stop alert-test-server.service; }

# An alert that comes while the programs' unit runs is sent by its next run, a minute later: hence the 90 seconds in some places.
# Prints only the posts of this test, because the machine may have other problems.
posts() { if [[ -e $work/posts ]]; then jq --compact-output 'select((.unit // .problem // "alert-test") | startswith("alert-test"))' "$work/posts"; fi; }
# count KIND: prints the number of alerts of that kind that the server has received.
count() { posts | jq --raw-output .kind | grep -cx "$1" || true; }
# The mailbox into which dma delivers.
mailbox=/var/mail/root
empty_mailbox() { install -o root -g mail -m 660 /dev/null "$mailbox"; }
mails() { if [[ -e $mailbox ]]; then grep -c '^Subject: NEXUS: ' "$mailbox" || true; else echo 0; fi; }
commands() { find "$work" -name 'command.*' | wc -l; }
queue_is_empty() { ! compgen -G "$alerts/alert-test*.json" >/dev/null; }
is_unsent() { jq --exit-status ".owed.$1" "$alerts/alert-test.service.json"; }
all_is_sent() { jq --exit-status '.owed == {}' "$alerts/${1-alert-test.service}.json"; }

break_it() { touch "$work/broken" && fails '' systemctl start alert-test; }
mend_it() { rm -f "$work/broken" && systemctl start alert-test; }
has_seen() { [[ $(jq .failures "$alerts/alert-test.service.json") == "$1" ]]; }
counted_is() { [[ $(count "$1") == "$2" ]]; }

# ---- The journal, which an alert repeats

# journald finds the unit of a line only when it reads the line; if the process has ended by then, it cannot.
the_last_line_is_the_units_though_journald_is_behind() {
	while_journald_is_behind nexus-remote one_that_fails
	journalctl --unit=alert-test-behind --output=cat | found '^nexus-remote: setting NEXUS_REMOTE=sometimes: '
	await 30 systemctl is-failed --quiet alert-test-behind
	systemctl reset-failed alert-test-behind
}
one_that_fails() {
	await 30 eval '! systemctl is-active --quiet alert-test-behind'
	systemctl reset-failed alert-test-behind 2>/dev/null || true
	systemd-run --quiet --unit=alert-test-behind --service-type=exec --setenv=NEXUS_REMOTE=sometimes nexus-remote check
}

# ---- By default

nothing_leaves_the_machine_unless_asked() {
	break_it
	await 90 all_is_sent
	same "the priority of its line" "$(journalctl --identifier=nexus-alert --output=json --lines=50 |
		jq --raw-output 'select(.NEXUS_UNIT == "alert-test.service" and .MESSAGE_ID == "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a80") | .PRIORITY' | tail -n 1)" 1
	mend_it
	await 90 queue_is_empty
	[[ ! -e $work/posts ]]
	same "mails" "$(mails)" 0
}
the_test_reports_that_no_channel_is_configured() { fails "no alert channel is configured" nexus-alert --test; }

# ---- By every channel

set_all_channels() {
	make_command
	setting NEXUS_ALERT_MAIL root
	# The mailbox must exist: dma would need root to create it.
	empty_mailbox
	setting NEXUS_ALERT_WEBHOOK_FORMAT json
	setting NEXUS_ALERT_COMMAND "$work/tell"
	printf 'http://127.0.0.1:8099/hook-%s\n' "$secret" | install -m 600 /dev/stdin "$keys/alert_webhook"
}

a_test_alert_uses_every_channel() {
	nexus-alert --test
	same "posts" "$(count test)" 1
	same "mails" "$(mails)" 1
	same "commands" "$(commands)" 1
	empty_mailbox
	rm -f "$work"/command.* "$work/posts"
}

every_channel_reports_a_failure() {
	break_it
	await 30 counted_is failed 1
	await 90 all_is_sent
	same "mails" "$(mails)" 1
	same "commands" "$(commands)" 1
	same "the unit" "$(posts | jq --raw-output .unit)" alert-test.service
	same "its result" "$(posts | jq --raw-output .result)" exit-code
	same "its exit" "$(posts | jq --raw-output .exit)" "exited, status 1"
	posts | jq --raw-output '.lines[]' | found 'marked line'
	grep -q '^Subject: NEXUS: alert-test.service on .* has failed$' "$mailbox"
	grep -q 'marked line' "$mailbox"
	same "the unit given to the command" "$(jq --raw-output .unit "$work"/command.*)" alert-test.service
}
the_planted_secret_is_nowhere() {
	journalctl --unit=alert-test.service | found -F "$secret"
	posts | found -F '[masked]'
	if grep -rlF "$secret" "$mailbox" "$work" "$alerts" --include=root --include='command.*' --include=posts --include='*.json'; then return 1; fi
	# The alert's own lines do not have the URL either.
	if journalctl --identifier=nexus-alert --unit='nexus-alert*' | grep -F "$secret"; then return 1; fi
}
a_second_failure_of_the_day_is_not_reported() {
	break_it
	await 20 has_seen 2
	systemctl start nexus-alert-retry nexus-alert-programs
	same "reported failures" "$(count failed)" 1
	same "mails" "$(mails)" 1
}
# Shifts the times in the queue by a day.
a_reminder_follows_after_a_day() {
	jq '.told = "2026-01-01T00:00:00Z"' "$alerts/alert-test.service.json" >"$work/changed"
	cat "$work/changed" >"$alerts/alert-test.service.json"
	systemctl start nexus-alert-retry nexus-alert-programs
	same "reminders" "$(count still)" 1
	same "mails" "$(mails)" 2
	systemctl start nexus-alert-retry nexus-alert-programs
	same "reminders" "$(count still)" 1
}
its_end_is_reported_once() {
	mend_it
	await 30 counted_is over 1
	await 90 queue_is_empty
	same "mails" "$(mails)" 3
	mend_it
	systemctl start nexus-alert-retry nexus-alert-programs
	same "reported ends" "$(count over)" 1
}
a_failed_stack_and_its_recovery_are_reported() {
	# systemd reports no end of a unit that stays active.
	cat >/etc/systemd/system/alert-test-stays.service <<-UNIT
		[Unit]
		StartLimitIntervalSec=0
		OnFailure=nexus-alert@%N.service
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=test ! -e $work/stays-broken
	UNIT
	systemctl daemon-reload
	touch "$work/stays-broken"
	fails '' systemctl start alert-test-stays
	await 30 counted_is failed 2
	rm "$work/stays-broken"
	systemctl start alert-test-stays
	await 30 systemctl start nexus-alert-retry
	await 30 counted_is over 2
	await 90 queue_is_empty
	systemctl stop alert-test-stays
}

# ---- What nexus-health finds

# health_finds [LEVEL…]: writes the list like nexus-health, by one rename, with one problem of each level.
health_finds() {
	local list=/run/nexus/health/problems.json level problems=()
	for level; do
		problems+=("$(jq --null-input --compact-output --arg level "$level" \
			'{id: "alert-test-disk", level: $level, sentence: "The disk is full.", advice: "Empty it", since: "2026-01-01T00:00:00Z"}')")
	done
	printf '%s\n' "${problems[@]}" | jq --slurp '{version: 1, problems: .}' | install -o nexus -g nexus -m 640 /dev/stdin "$list.partial"
	mv "$list.partial" "$list"
}
posted() { [[ $(posts | jq --raw-output "select(.problem == \"alert-test-disk\") | [.kind, .level] | join(\" \")" | paste --serial --delimiters=,) == "$1" ]]; }

what_health_finds_is_reported_once() {
	rm -f "$work/posts"
	health_finds warning
	await 90 posted 'failed warning'
	await 90 all_is_sent alert-test-disk.health
	# nexus-health writes the list again, and the timer reads it too.
	health_finds warning
	systemctl start nexus-alert-health
	posted 'failed warning'
	grep -q '^Subject: NEXUS: warning on .*: The disk is full.$' "$mailbox"
	grep -q '^what to do .*Empty it' "$mailbox"
}
a_critical_problem_is_reported_again() {
	health_finds critical
	await 90 posted 'failed warning,worse critical'
	await 90 all_is_sent alert-test-disk.health
	health_finds warning
	systemctl start nexus-alert-health
	health_finds critical
	systemctl start nexus-alert-health
	posted 'failed warning,worse critical'
}
a_problem_is_repeated_each_day() {
	local file=$alerts/alert-test-disk.health.json
	jq '.told = "2026-01-01T00:00:00Z"' "$file" >"$work/changed"
	cat "$work/changed" >"$file"
	systemctl start nexus-alert-retry
	posted 'failed warning,worse critical,still critical'
	systemctl start nexus-alert-retry nexus-alert-health
	posted 'failed warning,worse critical,still critical'
}
# is_reported NAME KIND: whether the server has an alert of that kind about the unit or problem.
is_reported() { jq --exit-status --slurp --arg name "$1" --arg kind "$2" 'any((.unit // .problem) == $name and .kind == $kind)' "$work/posts"; }

a_missing_list_resolves_nothing() {
	mv /run/nexus/health/problems.json "$work/problems.json"
	fails "it does not exist" nexus-alert --health
	posted 'failed warning,worse critical,still critical'
	[[ -e $alerts/alert-test-disk.health.json ]]
}
an_unreadable_list_is_reported_and_resolves_nothing() {
	echo '{' | install -o nexus -g nexus -m 640 /dev/stdin /run/nexus/health/problems.json
	systemctl start nexus-alert-health
	await 90 is_reported health-unreadable failed
	[[ -e $alerts/alert-test-disk.health.json ]]
	health_finds critical
	systemctl start nexus-alert-health
	await 90 is_reported health-unreadable over
	posted 'failed warning,worse critical,still critical'
}
a_failure_of_the_unit_that_reads_the_list_is_reported() {
	local unit=nexus-alert-health.service
	systemctl stop nexus-alert-health.path nexus-alert-health.timer
	trap it_works_again EXIT
	install -d "/run/systemd/system/$unit.d"
	printf '[Service]\nExecStart=\nExecStart=false\n' >"/run/systemd/system/$unit.d/fails.conf"
	systemctl daemon-reload
	await 60 is_inactive "$unit"
	fails '' systemctl start "$unit"
	await 90 is_reported "$unit" failed
	await 90 all_is_sent "$unit"
	# The unit that reports it has not started it again.
	same "failures" "$(jq .failures "$alerts/$unit.json")" 1
	it_works_again
	await 90 is_reported "$unit" over
}
it_works_again() {
	rm -rf /run/systemd/system/nexus-alert-health.service.d
	systemctl daemon-reload
	systemctl start nexus-alert-health.{path,timer,service}
}
is_inactive() { [[ $(systemctl show --value --property=ActiveState "$1") =~ ^(inactive|failed)$ ]]; }
# nexus-health is stopped here.
a_stalled_nexus_health_is_reported() {
	local kept=/run/nexus/health/health.json
	health_finds
	install -o nexus -g nexus -m 640 /dev/null "$kept"
	touch --date='2 hours ago' "$kept"
	rm -f "$work/posts"
	systemctl start nexus-alert-health
	await 90 is_reported health-silent failed
	touch "$kept"
	systemctl start nexus-alert-health
	await 90 is_reported health-silent over
	await 90 no_problem_is_queued
	rm "$kept"
}
no_problem_is_queued() { ! compgen -G "$alerts/*.health.json" >/dev/null; }
the_end_of_a_problem_is_reported() {
	health_finds
	await 90 posted 'failed warning,worse critical,still critical,over critical'
	await 90 queue_is_empty
	health_finds
	systemctl start nexus-alert-health
	posted 'failed warning,worse critical,still critical,over critical'
}

# ---- The test of every month

tested() { [[ $(jq --compact-output .ways "$alerts/tested.json") == "$1" ]]; }
is_tested_now() { (($(date +%s) - $(date --date="$(jq --raw-output .at "$alerts/tested.json")" +%s) < 60)); }
the_monthly_test_uses_every_channel() {
	rm -f "$work"/command.* "$work/posts" "$alerts/tested.json"
	systemctl start nexus-alert-test
	await 90 tested '{"mail":null,"command":null,"webhook":null}'
	is_tested_now
	same "tests" "$(count test)" 1
	same "commands" "$(commands)" 1
	systemctl is-enabled nexus-alert-test.timer nexus-alert-health.timer nexus-alert-health.path
}
a_failed_test_and_its_recovery_are_recorded() {
	server_down
	rm "$alerts/tested.json"
	systemctl start nexus-alert-test
	await 90 has_failed_the_test
	same "the others" "$(jq --compact-output '.ways | del(.webhook)' "$alerts/tested.json")" '{"mail":null,"command":null}'
	server_up
	await 200 tested '{"mail":null,"command":null,"webhook":null}'
	await 90 no_test_is_queued
	# Also when the owner starts it.
	server_down
	fails "could not be sent" nexus-alert --test
	has_failed_the_test
	server_up
	nexus-alert --test
	tested '{"mail":null,"command":null,"webhook":null}'
}
no_test_is_queued() { [[ ! -e $alerts/monthly.test.json ]]; }
has_failed_the_test() { [[ $(jq --raw-output .ways.webhook "$alerts/tested.json") == *"posting to the webhook"*refused* ]]; }

# ---- Other kinds of channels

ntfy_has_a_title() {
	setting NEXUS_ALERT_WEBHOOK_FORMAT ntfy
	rm -f "$work/posts"
	nexus-alert --test
	same "the title" "$(jq --raw-output .headers.title "$work/posts")" "NEXUS: test alert from NEXUS on $(hostname): nothing has failed"
}
healthchecks_hears_a_failure_and_its_end() {
	setting NEXUS_ALERT_WEBHOOK_FORMAT healthchecks
	rm -f "$work/posts"
	break_it
	await 30 paths_are fail
	mend_it
	await 30 paths_are "fail,hook-$secret"
	await 90 queue_is_empty
	setting NEXUS_ALERT_WEBHOOK_FORMAT json
	rm -f "$work/posts"
}
paths_are() { [[ $(jq --raw-output .path "$work/posts" | paste --serial --delimiters=,) == "$1" ]]; }

# Writes lines of words, which the alert does not mask, and at the end the reason.
break_it_with_many_words() {
	install -d /etc/systemd/system/alert-test.service.d
	cat >/etc/systemd/system/alert-test.service.d/words.conf <<-'UNIT'
		[Service]
		ExecStartPre=/bin/sh -c 'for i in $(seq 20); do printf "%%s %%420s end\n" "$i ñandú" " " | tr " " w; done; echo the newest line'
	UNIT
	systemctl daemon-reload
	break_it
	rm -r /etc/systemd/system/alert-test.service.d
	systemctl daemon-reload
}
bytes_of_text() { jq --join-output .text "$work/posts" | wc --bytes; }
# The server has the limit of ntfy.
ntfy_takes_an_alert_with_many_words() {
	server_down
	rm -f "$work/posts"
	server_up 4096
	setting NEXUS_ALERT_WEBHOOK_FORMAT ntfy
	break_it_with_many_words
	await 90 all_is_sent
	jq --raw-output .text "$work/posts" | head -n 1 | found '^alert-test.service on .* has failed$'
	jq --raw-output .text "$work/posts" | found 'the newest line'
	jq --raw-output .text "$work/posts" | found 'older lines that did not fit'
	(($(bytes_of_text) > 3000 && $(bytes_of_text) <= 4096))
	mend_it
	await 90 queue_is_empty
}
# A limit of 900 bytes has room for what happened, one of 10 for nothing.
a_webhook_with_a_small_limit_gets_a_short_alert() {
	server_down
	rm -f "$work/posts"
	server_up 900
	setting NEXUS_ALERT_WEBHOOK_FORMAT json
	break_it_with_many_words
	await 90 all_is_sent
	same "the unit and its lines" "$(jq --raw-output '.unit, (.lines | length)' "$work/posts" | paste --serial --delimiters=' ')" "alert-test.service 1"
	mend_it
	await 90 queue_is_empty
}
an_alert_too_long_for_its_webhook_is_given_up() {
	local said
	server_down
	server_up 10
	break_it
	await 90 all_is_sent
	said=$(journalctl --identifier=nexus-alert --output=cat --lines=200 MESSAGE_ID=5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a84 | tail -n 1)
	[[ $said == *"given up; it is in the journal"*"is too long for it"* && $said != *"Check the URL"* ]]
	mend_it
	await 90 queue_is_empty
	server_down
	rm -f "$work/posts"
	server_up
}

# with_sendmail COMMAND…: runs COMMAND while "$work/sendmail" replaces /usr/sbin/sendmail.
with_sendmail() {
	local own
	own=$(readlink /usr/sbin/sendmail)
	# shellcheck disable=SC2064 # as it is now
	trap "ln -sfn '$own' /usr/sbin/sendmail" EXIT
	ln -sfn "$work/sendmail" /usr/sbin/sendmail
	"$@"
	ln -sfn "$own" /usr/sbin/sendmail
}
# msmtp connects to a server itself.
msmtp_works_in_the_sandbox() {
	printf 'account default\nhost 127.0.0.1\nport 8025\nfrom nexus@localhost\n' | install -m 640 -g nexus /dev/stdin /etc/msmtprc
	server mail mailserver.py 8025 "$work"
	ln -sfn /usr/bin/msmtp "$work/sendmail"
	with_sendmail test_by_the_units
	systemctl stop alert-test-mail.service
	same "mails" "$(find "$work" -name 'smtp.*' -exec grep -l '^Subject: NEXUS: test alert' {} + | wc -l)" 1
	rm -f "$work"/smtp.*
}
# A setuid program like exim's: the sandbox cannot become root.
a_setuid_sendmail_is_not_run_and_its_server_is_spoken_to() {
	install -m 4755 /bin/false "$work/sendmail.setuid"
	ln -sfn "$work/sendmail.setuid" "$work/sendmail"
	server mail mailserver.py 25 "$work"
	with_sendmail test_by_the_units
	systemctl stop alert-test-mail.service
	same "mails" "$(find "$work" -name 'smtp.*' -exec grep -l '^Subject: NEXUS: test alert' {} + | wc -l)" 1
	rm -f "$work"/smtp.*
}
test_by_the_units() {
	rm -f "$alerts/tested.json"
	systemctl start nexus-alert-test
	await 90 tested '{"mail":null,"command":null,"webhook":null}'
}

a_line_reaches_every_terminal() {
	local person
	setting NEXUS_ALERT_WALL yes
	python3 "$here/terminal.py" "$work/terminal" &
	person=$!
	await 20 has_a_terminal
	nexus-alert --test
	setting NEXUS_ALERT_WALL no
	wait "$person"
	grep -q 'test alert from NEXUS' "$work/terminal"
}
has_a_terminal() { loginctl list-sessions --no-legend | found pts/; }

# ---- Without a network

an_alert_waits_for_its_server() {
	server_down
	break_it
	await 30 is_unsent webhook
	await 90 only_the_webhook_is_unsent
	systemctl is-failed nexus-alert-retry
	# The timer sends it; its first pause is a minute.
	server_up
	before=$(count failed)
	await 200 counted_is failed $((before + 1))
	await 90 all_is_sent
	mend_it
	await 90 queue_is_empty
}
only_the_webhook_is_unsent() { jq --exit-status '.owed | keys == ["webhook"] and .webhook.tries > 0' "$alerts/alert-test.service.json"; }

# ---- What another user can make long

# nobody_listens_on_many_addresses PORT: on 30000 addresses of other machines, in two processes.
nobody_listens_on_many_addresses() {
	local first processes=()
	for first in 4096 19096; do
		setpriv --reuid=nobody --regid=nogroup --clear-groups python3 -c '
import resource, signal, socket, sys

IPV6_FREEBIND = 78
resource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))
port, first = map(int, sys.argv[1:])
listeners = []
for number in range(first, first + 15000):
    listeners.append(socket.socket(socket.AF_INET6))
    listeners[-1].setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    listeners[-1].bind((f"2001:db8:1111:2222:3333:4444:5555:{number:x}", port))
    listeners[-1].listen(1)
signal.pause()' "$1" "$first" &
		processes+=("$!")
	done
	# shellcheck disable=SC2064 # as it is now
	trap "kill ${processes[*]}; systemctl stop nexus-health" EXIT
	await 60 are_open 30000 "$1"
}
are_open() { (($(ss --no-header --tcp --listening --numeric "sport = :$2" | wc -l) >= $1)); }
# Their names together are longer than the list that nexus-alert reads.
many_open_ports_are_one_short_alert() {
	rm -f "$work/posts"
	nobody_listens_on_many_addresses 5432
	systemctl start nexus-health-ports
	(($(wc -l </run/nexus/health/ports) <= 3001))
	systemctl start nexus-health
	await 60 is_reported ports failed
	systemctl stop nexus-health
	jq --raw-output 'select(.problem == "ports") | .subject' "$work/posts" |
		found 'Other machines can reach: \[2001:db8:1111:2222:3333:4444:5555:[0-9a-f]*\]:5432, .* and 29 99[0-9] more\.$'
}
its_end_is_reported_too() {
	health_finds
	rm -f /run/nexus/health/health.json
	systemctl start nexus-health-ports nexus-alert-health
	await 60 is_reported ports over
	await 90 no_problem_is_queued
}

# ---- On a full disk

spare=/run/nexus-alerts

# without_runs COMMAND…: runs COMMAND while nexus-alert does not run.
without_runs() {
	local starts=(nexus-alert-retry.timer nexus-alert-health.timer nexus-alert-health.path) unit
	systemctl stop "${starts[@]}"
	for unit in nexus-alert-{retry,programs,health}.service; do await 60 is_inactive "$unit"; done
	"$@"
	systemctl start "${starts[@]}"
}
small_disk() {
	install -d "$work/small"
	mount --types tmpfs --options size=512k,mode=0700,uid=nexus,gid=nexus alert-test "$work/small"
	cp -a "$alerts/." "$work/small"
	mount --bind "$work/small" "$alerts"
	umount "$work/small"
	fill_the_disk
}
usual_disk() {
	install -d -o nexus -g nexus -m 700 "$work/after"
	cp -a "$alerts/." "$work/after"
	umount "$alerts"
	rm -f "$alerts"/*.json
	cp -a "$work/after/." "$alerts"
	rm -r "$work/after" "$work/small"
}
fill_the_disk() {
	cat /dev/zero >>"$alerts/filler" 2>/dev/null || true
	fails 'No space left' cp /etc/services "$alerts/one-more"
	rm -f "$alerts/one-more"
	cat /dev/zero >>"$alerts/filler" 2>/dev/null || true
}

# A message is queued on the disk, and then a problem is found.
a_full_disk_delays_no_alert() {
	server_down
	rm -f "$work/posts"
	break_it
	await 90 only_the_webhook_is_unsent
	without_runs small_disk
	health_finds critical
	server_up
	await 40 posted 'failed critical'
	await 40 counted_is failed 2
	await 90 all_is_sent_in_memory alert-test-disk.health
	await 90 all_is_sent_in_memory alert-test.service
}
all_is_sent_in_memory() { jq --exit-status '.owed == {}' "$spare/$1.json"; }
a_full_disk_repeats_no_alert() {
	local unit before
	before=$(mails)
	for unit in nexus-alert-{health,retry,programs,health,retry,programs}; do systemctl start "$unit"; done
	same "reported failures" "$(count failed)" 2
	same "mails" "$(mails)" "$before"
}
an_end_is_reported_on_a_full_disk() {
	fill_the_disk
	mend_it
	await 40 counted_is over 1
	await 90 queue_is_empty_but_for_the_problem
	same "reported failures" "$(count failed)" 2
}
queue_is_empty_but_for_the_problem() { [[ $(cd "$spare" && ls alert-test*) == alert-test-disk.health.json ]]; }
incidents_move_back_to_the_disk() {
	rm "$alerts/filler"
	systemctl start nexus-alert-retry
	await 60 has_moved_back
	without_runs usual_disk
	health_finds
	await 90 posted 'failed critical,over critical'
	await 90 queue_is_empty
	same "what is left in memory" "$(ls "$spare")" ""
}
has_moved_back() { [[ -e $alerts/alert-test-disk.health.json && -z $(ls "$spare") ]]; }

# ---- While another user occupies D-Bus

# silence_the_bus NUMBER: keeps NUMBER connections to D-Bus that send nothing, as nobody. dbus-daemon accepts no other while 64 have not
# authenticated, for half a minute each; 4096 more fill the queue of its socket.
silence_the_bus() {
	setpriv --reuid=nobody --regid=nogroup --clear-groups python3 -c '
import resource, socket, sys, time

resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))


def is_open(connection):
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


kept = []
while True:
    while len(kept) < int(sys.argv[1]):
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        try:
            connection.connect("/run/dbus/system_bus_socket")
        except OSError:
            break
        kept.append(connection)
    time.sleep(0.2)
    kept = [connection for connection in kept if is_open(connection)]
' "$1" &
	# shellcheck disable=SC2064 # as it is now
	trap "kill $!" EXIT
	await 30 bus_is_silent
}
bus_replies() { timeout 3 busctl --system status >/dev/null; }
bus_is_silent() { ! bus_replies; }

# Two units have failed, whose state nexus-alert asks systemd for.
a_silent_bus_delays_no_alert() {
	local before
	server_down
	rm -f "$work/posts"
	before=$(count failed)
	touch "$work/stays-broken"
	fails '' systemctl start alert-test-stays
	break_it
	await 90 only_the_webhook_is_unsent
	silence_the_bus 4500
	server_up
	await 40 counted_is failed $((before + 2))
	health_finds warning
	await 40 posted 'failed warning'
	bus_is_silent
}
# With room in the queue of its socket.
a_silent_bus_is_asked_once_and_for_ten_seconds() {
	local began since
	silence_the_bus 200
	# Not at a run of the timer.
	systemctl stop nexus-alert-retry.timer
	await 60 is_inactive nexus-alert-retry
	since=$(date +%s)
	began=$SECONDS
	fails '' systemctl start nexus-alert-retry
	same "its exit code" "$(systemctl show --value --property=ExecMainStatus nexus-alert-retry)" 69
	((SECONDS - began >= 10))
	same "unanswered questions" "$(journalctl --unit=nexus-alert-retry --since="@$since" --output=cat --priority=err |
		grep -c 'nexus-alert: querying systemd about .*: D-Bus did not reply within 10 seconds. Until the next run, no other unit is checked$')" 1
	systemctl start nexus-alert-retry.timer
	# It exits with the level of its findings.
	(nexus-health --once || true) | found 'systemd cannot be queried: D-Bus did not reply within 10 seconds'
	bus_is_silent
}
units_are_checked_once_the_bus_replies() {
	local before
	await 60 bus_replies
	before=$(count over)
	rm "$work/stays-broken"
	systemctl start alert-test-stays
	await 90 counted_is over $((before + 1))
	systemctl stop alert-test-stays
	mend_it
	health_finds
	await 90 queue_is_empty
}

# ---- Over a reboot

an_alert_is_queued_before_the_reboot() {
	server_down
	break_it
	await 90 only_the_webhook_is_unsent
	count failed >"$work/failed-before"
}
it_is_delivered_after_the_reboot() {
	is_unsent webhook
	server_up
	await 200 counted_is failed $(($(cat "$work/failed-before") + 1))
	await 90 all_is_sent
	mend_it
	await 90 queue_is_empty
}

remove_all_channels() {
	for name in NEXUS_ALERT_MAIL NEXUS_ALERT_WEBHOOK_FORMAT NEXUS_ALERT_COMMAND; do setting "$name" ''; done
	setting NEXUS_ALERT_WALL no
	rm -rf "${work:?}"/* "$keys/alert_webhook" "$mailbox"
}

case ${1-} in
before-reboot)
	# From an earlier run.
	systemctl stop alert-test-server.service alert-test-mail.service alert-test-stays.service 2>/dev/null || true
	if mountpoint --quiet "$alerts"; then umount "$alerts"; fi
	# This test writes the list instead.
	systemctl stop nexus-health.service 2>/dev/null || true
	remove_all_channels
	rm -f "$alerts"/*.json /run/nexus/health/problems.json
	make_the_unit
	check the_test_reports_that_no_channel_is_configured
	check the_last_line_is_the_units_though_journald_is_behind
	check nothing_leaves_the_machine_unless_asked
	set_all_channels
	server_up
	check a_test_alert_uses_every_channel
	check every_channel_reports_a_failure
	check the_planted_secret_is_nowhere
	check a_second_failure_of_the_day_is_not_reported
	check a_reminder_follows_after_a_day
	check its_end_is_reported_once
	check a_failed_stack_and_its_recovery_are_reported
	check what_health_finds_is_reported_once
	check a_critical_problem_is_reported_again
	check a_problem_is_repeated_each_day
	check a_missing_list_resolves_nothing
	check an_unreadable_list_is_reported_and_resolves_nothing
	check a_failure_of_the_unit_that_reads_the_list_is_reported
	check the_end_of_a_problem_is_reported
	check a_stalled_nexus_health_is_reported
	check the_monthly_test_uses_every_channel
	check a_failed_test_and_its_recovery_are_recorded
	check ntfy_has_a_title
	check healthchecks_hears_a_failure_and_its_end
	check ntfy_takes_an_alert_with_many_words
	check a_webhook_with_a_small_limit_gets_a_short_alert
	check an_alert_too_long_for_its_webhook_is_given_up
	check msmtp_works_in_the_sandbox
	check a_setuid_sendmail_is_not_run_and_its_server_is_spoken_to
	check a_line_reaches_every_terminal
	check an_alert_waits_for_its_server
	check many_open_ports_are_one_short_alert
	check its_end_is_reported_too
	check a_full_disk_delays_no_alert
	check a_full_disk_repeats_no_alert
	check an_end_is_reported_on_a_full_disk
	check incidents_move_back_to_the_disk
	check a_silent_bus_delays_no_alert
	check a_silent_bus_is_asked_once_and_for_ten_seconds
	check units_are_checked_once_the_bus_replies
	check an_alert_is_queued_before_the_reboot
	;;
after-reboot)
	systemctl stop nexus-health.service 2>/dev/null || true
	check it_is_delivered_after_the_reboot
	server_down
	remove_all_channels
	rm -rf "$work" /etc/systemd/system/alert-test{,-stays}.service
	systemctl daemon-reload
	if systemctl cat nexus-health.service >/dev/null 2>&1; then systemctl start nexus-health.service; fi
	;;
*)
	sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}" >&2
	exit 64
	;;
esac
report
