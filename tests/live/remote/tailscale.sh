# Tests Tailscale without an account: a program of that name accepts the documented commands, stores them, and refuses others.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

tailscale_that_is_missing_is_one_line() {
	fails "" "$clone/install.sh" --remote tailscale
	journalctl --unit=nexus-tailscale --output=cat | found '^nexus-remote: setting NEXUS_REMOTE=tailscale: this machine has no tailscale. Install it'
	switch off
	systemctl reset-failed nexus-tailscale.service
}

tailscale_is_asked_for_the_right_thing() {
	local asked=/run/tailscale-stand-in
	install --mode=755 "$here/remote/tailscale" /usr/local/bin/tailscale
	# The real program stores it in tailscaled; this one needs its own file.
	install -d /run/systemd/system/nexus-tailscale.service.d
	printf '[Service]\nReadWritePaths=/run\n' >/run/systemd/system/nexus-tailscale.service.d/stand-in.conf
	systemctl daemon-reload
	rm -f "$asked"
	printf '1.92.3\n' >/run/tailscale-version
	fails "" "$clone/install.sh" --remote tailscale
	journalctl --unit=nexus-tailscale --output=cat | found 'it is 1.92.3, which cannot serve a Unix socket. Upgrade it to 1.94 or newer'
	printf '1.94.1\n' >/run/tailscale-version
	switch tailscale
	same "what is served" "$(cat "$asked")" "443 unix:/run/nexus/proxy/api.sock"
	same "the units" "$(systemctl is-active nexus-tailscale.service nexus-api-proxy.socket nexus-proxy.service | paste -sd' ' || true)" "active active inactive"
	same "ports from outside" "$(scan "$friend")" ""
	# Like tailscaled: as root, over the socket, with the tailnet's address in the header.
	same "with the token" "$(tailnet "$(token)")" 200
	same "without" "$(tailnet wrong)" 401
	off_leaves_nothing
	[[ ! -e $asked ]]
	rm -r /usr/local/bin/tailscale /run/tailscale-version /run/systemd/system/nexus-tailscale.service.d
	systemctl daemon-reload
}

tailnet() {
	curl --silent --output /dev/null --write-out '%{http_code}' --unix-socket /run/nexus/proxy/api.sock --header 'X-Forwarded-For: 100.101.102.103' \
		--header "Authorization: Bearer $1" http://localhost/stats
}
