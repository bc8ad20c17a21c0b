# Tests switching on and off, and what is left.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

nothing_is_there() {
	same "ports from outside" "$(scan "$friend") $(scan "$friend6" "$machine_here6")" " "
	same "ports by UDP" "$(udp_listeners)" ""
	same "units" "$(systemctl is-active nexus-proxy.service nexus-tailscale.service nexus-api-proxy.socket | sort -u)" inactive
	same "the socket" "$(systemctl is-enabled nexus-api-proxy.socket || true)" disabled
	same "containers" "$(docker ps --all --quiet --filter name=nexus-proxy)" ""
	[[ ! -e /run/nexus/proxy/api.sock ]]
	curl --silent --fail --output /dev/null http://127.0.0.1:8003/stats
}

off_is_nothing_at_all() {
	nothing_is_there
	same "all ports" "$(scan "$friend" "$machine_here" all)" ""
	[[ ! -e /etc/nexus/credentials/remote_token ]]
}

off_leaves_nothing() {
	switch off
	nothing_is_there
	same "processes" "$(pgrep --count --exact caddy || true)" 0
	same "the kernel's address lists" "$(systemctl show --property=IPAddressAllow,IPAddressDeny nexus-proxy.slice)" $'IPAddressAllow=\nIPAddressDeny='
	same "failed units" "$(systemctl list-units --failed --no-legend --plain 'nexus-*' | cut -d' ' -f1)" ""
}

# refused WORDS SETTING=VALUE…: nothing may start, and the message must contain WORDS.
refused() {
	local words=$1
	shift
	fails "$words" env NEXUS_REMOTE=caddy "$@" nexus-remote check
}

wrong_settings_start_nothing() {
	local public=198.18.0.9
	refused "setting NEXUS_DOMAIN=: Caddy needs this machine's name" NEXUS_DOMAIN=
	refused "setting NEXUS_DOMAIN=https://a.org: expected one name" NEXUS_DOMAIN=https://a.org
	refused "no public authority issues a certificate" NEXUS_DOMAIN=nas.local
	refused "the list of allowed networks is empty" NEXUS_DOMAIN=memory.example.org
	refused "the network is 192.168.1.0/24" NEXUS_DOMAIN=nas.local NEXUS_TLS=internal NEXUS_ALLOW_IPS=192.168.1.5/24
	refused "remote_token does not exist" NEXUS_DOMAIN=nas.local NEXUS_TLS=internal
	# Gives this machine a public address.
	ip address add "$public/32" dev lo
	refused "this machine has the public address $public, and the list of allowed networks is empty" NEXUS_DOMAIN=nas.local NEXUS_TLS=internal
	ip address delete "$public/32" dev lo
	# The unit writes one line to its journal, and nothing listens.
	sed -i 's/^NEXUS_REMOTE=.*/NEXUS_REMOTE=caddy/' "$settings"
	fails "control process exited" systemctl restart nexus-proxy.service
	journalctl --unit=nexus-proxy --output=cat --lines=30 | found '^nexus-remote: setting NEXUS_DOMAIN='
	sed -i 's/^NEXUS_REMOTE=.*/NEXUS_REMOTE=sometimes/' "$settings"
	fails "control process exited" systemctl restart nexus-proxy.service
	journalctl --unit=nexus-proxy --output=cat --lines=30 | found '^NEXUS_REMOTE=sometimes in /etc/nexus/nexus.env: it is caddy, tailscale or off$'
	fails "--remote needs caddy, tailscale or off after it" "$clone/install.sh" --remote sometimes
	switch off
	systemctl reset-failed nexus-proxy.service nexus-tailscale.service
	nothing_is_there
}

is_switched_on() {
	switch caddy || { cat "$work/switched" >&2 && return 1; }
	same "the units" "$(systemctl is-active nexus-proxy.service nexus-api-proxy.socket | paste -sd' ')" "active active"
	same "the container" "$(docker inspect --format '{{.State.Status}} {{.State.Health.Status}}' nexus-proxy)" "running healthy"
	same "the token's mode" "$(stat --format='%U %a' /etc/nexus/credentials/remote_token)" "root 600"
	(($(token | wc --bytes) > 40))
	await 30 status_is 200 with_token "$friend" /health
}

switching_on_again_changes_nothing() {
	local before
	before="$(token) $(sha256sum "$settings" "$authority")"
	switch caddy
	same "token, settings, authority" "$(token) $(sha256sum "$settings" "$authority")" "$before"
	await 30 status_is 200 with_token "$friend" /health
}

# The same token and the same authority, so that clients need no change.
back_with_the_same_authority() {
	switch caddy
	await 30 status_is 200 with_token "$friend" /health
	same "ports" "$(scan "$friend")" "80 443"
	same "ports open to the stranger" "$(scan "$stranger")" ""
}

reboot_keeps_the_choice() {
	await 120 healthy
	await 120 systemctl is-active --quiet nexus-proxy.service
	await 60 status_is 200 with_token "$friend" /health
	same "ports" "$(scan "$friend")" "80 443"
	same "ports open to the stranger" "$(scan "$stranger")" ""
	# shellcheck disable=SC2016 # a new shell expands it each time
	await 60 eval '[[ $(systemctl is-system-running) == running ]]'
}

finding() { nexus-health --once 2>/dev/null | grep -E "^[a-z]+ +$1 "; }
notes() {
	systemctl start nexus-remote-note.service
	finding "$1" || true
}
health_warns() {
	local file=/etc/nexus/credentials/remote_token
	[[ $(notes remote-token) == ok* && $(notes remote-certificate) == ok* && $(notes remote-allow) == ok* ]] || { nexus-health --once >&2 || true; return 1; }
	touch --date='400 days ago' "$file"
	[[ $(notes remote-token) == warning*"400 days"* ]]
	touch "$file"
	set_setting NEXUS_ALLOW_IPS "$allowed 0.0.0.0/0"
	[[ $(notes remote-allow) == warning* ]]
	set_setting NEXUS_ALLOW_IPS "$allowed"
	# A certificate that expires soon, in place of Caddy's.
	set_setting NEXUS_TLS files
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null -out /etc/nexus/tls/cert.pem -days 2 -subj /CN=mine 2>/dev/null
	[[ $(notes remote-certificate) == ok* ]]
	python3 "$here/remote/old_certificate.py" /etc/nexus/tls/cert.pem
	[[ $(notes remote-certificate) == warning* ]]
	rm /etc/nexus/tls/cert.pem
	set_setting NEXUS_TLS internal
	[[ $(notes remote-certificate) == ok* ]]
}
