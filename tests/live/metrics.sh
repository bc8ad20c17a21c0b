#!/usr/bin/env bash
# Tests the profile `metrics` inside an installed machine: off starts nothing, on serves figures only to this machine, and every query of
# the dashboard has a result. Prometheus and node_exporter are Debian's, under the names of the official images. There is no Grafana
# here, so only its files are checked.
#
# usage: metrics.sh DIRECTORY     with prometheus, promtool and prometheus-node-exporter
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source-path=SCRIPTDIR
. "$here/checks.sh"

binaries=$1
settings=/etc/nexus/nexus.env
compose=/usr/local/share/nexus/compose
drop_in=/run/systemd/system/nexus-metrics.service.d
prometheus=http://127.0.0.1:6669
# An address of this machine besides the loopback.
elsewhere=10.99.0.1
work=$(mktemp -d)
trap put_back EXIT

put_back() {
	switch off
	rm -rf "$drop_in" "$work"
	systemctl daemon-reload
	ip address delete "$elsewhere/32" dev lo 2>/dev/null || true
}

switch() {
	sed -i "s/^NEXUS_METRICS=.*/NEXUS_METRICS=$1/" "$settings"
	systemctl restart nexus-metrics.service
}

# ---- Stand-ins for the official images

image_of() { sed -nE "s/.*\\$\\{$1:-([^}]+)\\}.*/\\1/p" "$compose/docker-compose.yml"; }

# stand_in IMAGE BINARY=PATH…: makes an image of the binaries with their libraries, and the directories that the compose file needs.
stand_in() {
	local image=$1 root=$work/root pair library
	shift
	rm -rf "$root"
	install -d "$root"/{bin,etc,tmp,metrics,nexus}
	install -d -o 65534 -g 65534 "$root/prometheus"
	for pair; do
		install -D "$binaries/${pair%%=*}" "$root${pair#*=}"
		while read -r library; do install -D "$library" "$root$library"; done < <(ldd "$binaries/${pair%%=*}" | grep -oE '/[^ ]+')
	done
	tar --create --directory="$root" . | docker import --change "ENTRYPOINT [\"${1#*=}\"]" \
		--change 'LABEL org.nexus.stand-in=debian' - "$image" >/dev/null
}

prepare() {
	stand_in "$(image_of NEXUS_PROMETHEUS_IMAGE)" prometheus=/bin/prometheus promtool=/bin/promtool
	stand_in "$(image_of NEXUS_NODE_EXPORTER_IMAGE)" prometheus-node-exporter=/bin/node_exporter
	# No Grafana: the same command without it.
	install -d "$drop_in"
	cat >"$drop_in/no-grafana.conf" <<-'TEXT'
		[Service]
		ExecStart=
		ExecStart=docker compose up --detach --wait exporter prometheus
		ExecReload=
		ExecReload=docker compose up --detach --wait exporter prometheus
	TEXT
	systemctl daemon-reload
	ip address add "$elsewhere/32" dev lo
}

# ---- Off

nothing_is_there() {
	same "the unit" "$(systemctl is-active nexus-metrics.service)" inactive
	same "containers" "$(docker ps --all --quiet --filter name=nexus-exporter --filter name=nexus-prometheus --filter name=nexus-grafana)" ""
	same "volumes" "$(docker volume ls --quiet --filter name=nexus_prometheus --filter name=nexus_grafana)" ""
	same "listeners" "$(ss --tcp --listening --numeric --no-header | grep -E ':(3000|6668|6669)\b' || true)" ""
}

an_invalid_metrics_setting_is_reported() {
	local cursor
	cursor=$(journalctl --lines=0 --show-cursor | sed -n 's/^-- cursor: //p')
	fails "control process exited" switch yes
	journalctl --unit=nexus-metrics --after-cursor="$cursor" --output=cat | found '^NEXUS_METRICS=yes in /etc/nexus/nexus.env: expected on or off$'
	sed -i 's/^NEXUS_METRICS=.*/NEXUS_METRICS=off/' "$settings"
	systemctl stop nexus-metrics.service
	systemctl reset-failed nexus-metrics.service
}

# ---- On

is_switched_on() {
	switch on
	same "the unit" "$(systemctl is-active nexus-metrics.service)" active
	same "their states" "$(docker inspect --format '{{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}' nexus-exporter nexus-prometheus | paste -sd' ')" "running  running healthy"
}

it_listens_on_loopback_only() {
	same "addresses" "$(ss --tcp --listening --numeric --no-header | awk '{ print $4 }' | grep -E ':(6668|6669)$' | sort)" $'127.0.0.1:6668\n127.0.0.1:6669'
}

# browser.py shows that no browser connects to these ports. If the owner forwards one, no page of another site may read the answer.
pages_may_not_read() {
	local said
	said=$(curl --silent --dump-header - --output /dev/null --header 'Origin: http://evil.example' "$prometheus/api/v1/labels")
	[[ $said == *" 200 "* && ${said,,} != *access-control-allow-origin* ]]
}

# In these containers, promtool is a program that can connect to another machine.
no_packet_leaves() {
	python3 -m http.server --bind "$elsewhere" 8098 >/dev/null 2>&1 &
	await 10 curl --silent --fail --output /dev/null "http://$elsewhere:8098/"
	# The control: outside of the containers it gets an answer, though not one of Prometheus.
	fails "404" "$binaries/promtool" query instant "http://$elsewhere:8098" 'vector(1)'
	fails "dial tcp" docker exec nexus-prometheus promtool query instant "http://$elsewhere:8098" 'vector(1)'
	kill %1
}

# Even if one of them listened on every address.
no_packet_comes_in() {
	systemd-run --quiet --collect --unit=metrics-test --slice=nexus-metrics.slice python3 -m http.server --bind 0.0.0.0 8099
	await 10 curl --silent --fail --output /dev/null http://127.0.0.1:8099/
	fails "" curl --silent --max-time 5 "http://$elsewhere:8099/"
	systemctl stop metrics-test.service
}

sees_nothing_else() {
	same "its mounts" "$(docker inspect --format '{{range .Mounts}}{{.Destination}} {{.RW}} {{end}}' nexus-exporter)" "/metrics false "
	same "Prometheus's" "$(docker inspect --format '{{range .Mounts}}{{.Destination}} {{.RW}}{{"\n"}}{{end}}' nexus-prometheus | sort | paste -sd' ')" " /nexus false /prometheus true"
	same "who runs them" "$(docker inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}' nexus-exporter nexus-prometheus | sort -u)" "65534:65534 true [ALL]"
}

the_stack_and_they_leave_each_other_alone() {
	local before
	before=$(docker inspect --format '{{.State.StartedAt}}' nexus-prometheus nexus-exporter)
	systemctl reload nexus-stack.service
	same "when they started" "$(docker inspect --format '{{.State.StartedAt}}' nexus-prometheus nexus-exporter)" "$before"
}

one_that_is_down_is_a_warning() {
	docker kill nexus-exporter >/dev/null
	nexus-health --once >"$work/table" || true
	grep -qE '^warning +containers +nexus-exporter has exited' "$work/table"
	systemctl reload nexus-metrics.service
	nexus-health --once >"$work/table" || true
	grep -qE '^ok +containers ' "$work/table"
}

ask() { curl --silent --fail --get --data-urlencode "query=$1" "$prometheus/api/v1/query"; }
is_one() { [[ $(ask "$1" | jq --raw-output '.data.result[0].value[1]') == 1 ]]; }
scrapes_what_health_writes() {
	await 90 is_one 'up{job="nexus-health"}'
	same "errors of the exporter" "$(ask node_textfile_scrape_error | jq --raw-output '.data.result[0].value[1]')" 0
	same "the level" "$(ask nexus_health_level | jq --raw-output '.data.result[0].value[1]')" "$(sed -n 's/^nexus_health_level //p' /var/lib/nexus/metrics/nexus.prom)"
}
keeps_fifteen_days() { same "retention" "$(curl --silent "$prometheus/api/v1/status/flags" | jq --raw-output '.data["storage.tsdb.retention.time"]')" 15d; }

# ---- The dashboard

# Makes a proof and a day of history, like a machine that has run for a while.
what_time_brings() {
	if ! grep -qs '"proven":true' /var/lib/nexus/proofs/*.json; then systemctl start nexus-restore-test.service; fi
	if (($(wc -l </var/lib/nexus/health/history.jsonl) < 24)); then
		python3 "$here/metrics/history.py" >"$work/history"
		install -o nexus -g nexus -m 640 "$work/history" /var/lib/nexus/health/history.jsonl
	fi
	systemctl restart nexus-health.service
}

# Sends requests to the API, because it has figures only of requests.
each_question_has_an_answer() {
	local api=http://127.0.0.1:8003/memory id
	id=$(curl --silent --fail "$api/action" --json '{"action_type": "note", "action_details": {"content": "a row for the dashboard"}}' | jq --raw-output .episode_id)
	curl --silent --fail "$api/search" --json '{"query": "dashboard", "mode": "text"}' >/dev/null
	python3 "$here/metrics/dashboard.py" answers "$compose/metrics" "$prometheus"
	curl --silent --fail --request DELETE "$api/episode/$id" >/dev/null
}
its_files_fit_together() { python3 "$here/metrics/dashboard.py" files "$compose/metrics" "$compose/docker-compose.yml"; }
only_its_user_can_read_its_password() { same "owner and mode" "$(stat --format='%u:%g %a' /etc/nexus/credentials/grafana_password)" "472:0 600"; }

switch off
prepare
check nothing_is_there
check an_invalid_metrics_setting_is_reported
check "$binaries/promtool" check config "$compose/metrics/prometheus.yml"
check its_files_fit_together
check only_its_user_can_read_its_password
what_time_brings
check is_switched_on
check it_listens_on_loopback_only
check pages_may_not_read
check no_packet_leaves
check no_packet_comes_in
check sees_nothing_else
check scrapes_what_health_writes
check keeps_fifteen_days
check each_question_has_an_answer
check the_stack_and_they_leave_each_other_alone
check one_that_is_down_is_a_warning
switch off
check nothing_is_there
report
