#!/usr/bin/env bash
# nexus-alert inside an installed machine: a unit that fails is told by every way, once, and so is its end; what cannot be
# sent is kept. Usage: alert.sh [before-reboot|after-reboot]; the first leaves an alert in the queue, which the second,
# after the machine was booted again, wants to see delivered.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# In full: systemd starts the web server somewhere else.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Where the person's server, mail program and command put what they get. Kept over the reboot.
work=/var/lib/alert-test
alerts=/var/lib/nexus/alerts
settings=/etc/nexus/nexus.env
secret=hunter2-Planted
install -d -m 1777 "$work"

# setting NAME VALUE
setting() { sed -i "s|^$1=.*|$1=$2|" "$settings"; }

# The units of the test: one that fails while a file says so, and has a secret in its journal.
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

# A mail program that keeps what it gets. It is a stand-in for dma or msmtp-mta, with their command line, unless the
# machine has one of its own.
make_sendmail() {
	[[ -e /usr/sbin/sendmail ]] && return
	install -m 755 /dev/stdin /usr/sbin/sendmail <<-SENDMAIL
		#!/bin/sh
		[ "\$*" = "-t -i" ] || exit 64
		cat >"$work/mail.\$\$"
		id --user --name >"$work/mail-user"
		grep ^NoNewPrivs: /proc/self/status >"$work/mail-rights"
	SENDMAIL
}
make_command() {
	install -m 755 /dev/stdin "$work/tell" <<-COMMAND
		#!/bin/sh
		cat >"$work/command.\$\$"
	COMMAND
}

# It says itself when it can be reached, and systemd says why when it cannot.
server_up() {
	systemd-run --quiet --collect --unit=alert-test-server --property=Type=notify python3 "$here/webhook.py" 8099 "$work/posts"
}
server_down() { systemctl stop alert-test-server.service; }

posts() { cat "$work/posts" 2>/dev/null || true; }
# count KIND: how many alerts of that kind the server has got.
count() { posts | jq --raw-output .kind | grep -cx "$1" || true; }
mails() { find "$work" -name 'mail.*' | wc -l; }
commands() { find "$work" -name 'command.*' | wc -l; }
queue_is_empty() { ! compgen -G "$alerts/*.json" >/dev/null; }
owes() { jq --exit-status ".owed.$1" "$alerts/alert-test.service.json"; }
owes_nothing() { jq --exit-status '.owed == {}' "$alerts/alert-test.service.json"; }

break_it() { touch "$work/broken" && fails '' systemctl start alert-test; }
mend_it() { rm -f "$work/broken" && systemctl start alert-test; }
has_seen() { [[ $(jq .failures "$alerts/alert-test.service.json") == "$1" ]]; }
counted_is() { [[ $(count "$1") == "$2" ]]; }

# ---- By default

nothing_leaves_the_machine_unless_asked() {
	break_it
	await 20 owes_nothing
	journalctl --sync
	same "the priority of its line" "$(journalctl --identifier=nexus-alert --output=json --lines=50 |
		jq --raw-output 'select(.NEXUS_UNIT == "alert-test.service" and .MESSAGE_ID == "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a80") | .PRIORITY' | tail -n 1)" 1
	mend_it
	await 20 queue_is_empty
	[[ ! -e $work/posts ]]
	same "mails" "$(mails)" 0
}
one_without_a_way_is_told_so() { fails "no way is set" nexus-alert --test; }

# ---- By every way

set_all_ways() {
	make_sendmail
	make_command
	setting NEXUS_ALERT_MAIL root@localhost
	setting NEXUS_ALERT_WEBHOOK_FORMAT json
	setting NEXUS_ALERT_COMMAND "$work/tell"
	printf 'http://127.0.0.1:8099/hook-%s\n' "$secret" | install -m 600 /dev/stdin "$keys/alert_webhook"
}

a_test_alert_goes_every_way() {
	nexus-alert --test
	same "posts" "$(count test)" 1
	same "mails" "$(mails)" 1
	same "commands" "$(commands)" 1
	same "who ran sendmail" "$(cat "$work/mail-user")" nexus
	rm -f "$work"/mail.* "$work"/command.* "$work/posts"
}

a_failure_is_told_by_every_way() {
	break_it
	await 30 counted_is failed 1
	await 30 owes_nothing
	same "mails" "$(mails)" 1
	same "commands" "$(commands)" 1
	same "the unit" "$(posts | jq --raw-output .unit)" alert-test.service
	same "its result" "$(posts | jq --raw-output .result)" exit-code
	same "its exit" "$(posts | jq --raw-output .exit)" "exited, status 1"
	posts | jq --raw-output '.lines[]' | grep 'marked line' >/dev/null
	# The machine's own would be setuid or setgid.
	same "whether it may be setuid" "$(cut -f2 "$work/mail-rights")" 0
	grep -q '^Subject: NEXUS: alert-test.service on .* has failed$' "$work"/mail.*
	grep -q 'marked line' "$work"/mail.*
	same "what the command got" "$(jq --raw-output .unit "$work"/command.*)" alert-test.service
}
the_planted_secret_is_nowhere() {
	journalctl --sync
	journalctl --unit=alert-test.service | grep -F "$secret" >/dev/null
	posts | grep -F '[masked]' >/dev/null
	if grep -rlF "$secret" "$work" "$alerts" --include='mail.*' --include='command.*' --include='posts' --include='*.json'; then return 1; fi
	# Nor is the URL, in a line of the alert's own.
	if journalctl --identifier=nexus-alert --unit='nexus-alert*' | grep -F "$secret"; then return 1; fi
}
a_second_failure_of_the_day_is_not_told() {
	break_it
	await 20 has_seen 2
	systemctl start nexus-alert-retry nexus-alert-programs
	same "failures told" "$(count failed)" 1
	same "mails" "$(mails)" 1
}
# A day later, as the queue sees it.
it_is_told_again_after_a_day() {
	jq '.told = "2026-01-01T00:00:00Z"' "$alerts/alert-test.service.json" >"$work/changed"
	cat "$work/changed" >"$alerts/alert-test.service.json"
	systemctl start nexus-alert-retry nexus-alert-programs
	same "reminders" "$(count still)" 1
	same "mails" "$(mails)" 2
	systemctl start nexus-alert-retry nexus-alert-programs
	same "reminders" "$(count still)" 1
}
its_end_is_told_once() {
	mend_it
	await 30 counted_is over 1
	await 30 queue_is_empty
	same "mails" "$(mails)" 3
	mend_it
	systemctl start nexus-alert-retry nexus-alert-programs
	same "ends told" "$(count over)" 1
}
a_stack_that_fails_is_told_and_so_is_its_start() {
	# What stays active has no end that systemd would report.
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
	await 30 queue_is_empty
	systemctl stop alert-test-stays
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
has_a_terminal() { loginctl list-sessions --no-legend | grep pts/ >/dev/null; }

# ---- Without a network

an_alert_waits_for_its_server() {
	server_down
	break_it
	await 30 owes webhook
	await 30 owes_nothing_but_the_webhook
	systemctl is-failed nexus-alert-retry
	# By the timer, and by nobody else: a minute is its first pause.
	server_up
	before=$(count failed)
	await 200 counted_is failed $((before + 1))
	await 30 owes_nothing
	mend_it
	await 30 queue_is_empty
}
owes_nothing_but_the_webhook() { jq --exit-status '.owed | keys == ["webhook"] and .webhook.tries > 0' "$alerts/alert-test.service.json"; }

# ---- Over a reboot

an_alert_is_queued_before_the_reboot() {
	server_down
	break_it
	await 30 owes_nothing_but_the_webhook
	count failed >"$work/failed-before"
}
it_is_delivered_after_the_reboot() {
	owes webhook
	server_up
	await 200 counted_is failed $(($(cat "$work/failed-before") + 1))
	await 30 owes_nothing
	mend_it
	await 30 queue_is_empty
}

forget_all_ways() {
	for name in NEXUS_ALERT_MAIL NEXUS_ALERT_WEBHOOK_FORMAT NEXUS_ALERT_COMMAND; do setting "$name" ''; done
	setting NEXUS_ALERT_WALL no
	rm -rf "${work:?}"/* "$keys/alert_webhook"
}

case ${1-} in
before-reboot)
	# Of a run before this one.
	systemctl stop alert-test-server.service alert-test-stays.service 2>/dev/null || true
	forget_all_ways
	rm -f "$alerts"/*.json
	make_the_unit
	check one_without_a_way_is_told_so
	check nothing_leaves_the_machine_unless_asked
	set_all_ways
	server_up
	check a_test_alert_goes_every_way
	check a_failure_is_told_by_every_way
	check the_planted_secret_is_nowhere
	check a_second_failure_of_the_day_is_not_told
	check it_is_told_again_after_a_day
	check its_end_is_told_once
	check a_stack_that_fails_is_told_and_so_is_its_start
	check a_line_reaches_every_terminal
	check an_alert_waits_for_its_server
	check an_alert_is_queued_before_the_reboot
	;;
after-reboot)
	check it_is_delivered_after_the_reboot
	server_down
	forget_all_ways
	rm -rf "$work" /etc/systemd/system/alert-test{,-stays}.service
	if [[ $(head -c 2 /usr/sbin/sendmail) == '#!' ]]; then rm /usr/sbin/sendmail; fi
	systemctl daemon-reload
	;;
*)
	sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}" >&2
	exit 64
	;;
esac
report
