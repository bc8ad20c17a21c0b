# Tests what Caddy lets through, and what it refuses.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

only_443_and_80_answer() {
	same "ports by IPv4" "$(scan "$friend" "$machine_here" all)" "80 443"
	same "ports by IPv6" "$(scan "$friend6" "$machine_here6")" "80 443"
	same "ports by UDP" "$(udp_listeners)" 443
	from "$friend" "http://nexus.test/memory/x?secret=1" >/dev/null
	same "the answer on port 80" "$(<"$work/status") $(tr -d '\r' <"$work/header" | sed -n 's/^[Ll]ocation: //p')" "308 https://nexus.test/memory/x?secret=1"
}

addresses_off_the_list_find_no_port() {
	same "ports by IPv4" "$(scan "$stranger" "$machine_here" all)" ""
	same "ports by IPv6" "$(scan "$stranger6" "$machine_here6")" ""
}

# As with NEXUS_TLS=auto, where the kernel lets all packets through: Caddy itself closes without an answer.
addresses_off_the_list_get_no_reply_from_caddy() {
	local url
	systemctl set-property --runtime nexus-proxy.slice IPAddressAllow= IPAddressAllow=any IPAddressDeny=any
	for url in https://nexus.test/health http://nexus.test/ http://nexus.test/.well-known/acme-challenge/x; do
		fails "" from "$stranger" --header "X-Forwarded-For: $friend" "$url"
		same "the status of $url" "$(<"$work/status")" 000
		same "the received header" "$(cat "$work/header")" ""
	done
	status_is 401 from "$friend" https://nexus.test/health
	systemctl reload nexus-proxy.service
	same "ports open again" "$(scan "$stranger")" ""
}

memory_works_from_outside() {
	local id
	id=$(with_token "$friend" /memory/action --json '{"action_type": "note", "action_details": {"content": "told from outside: a blue bicycle"}}' | jq -r .episode_id)
	same "found from outside" "$(with_token "$other_friend" /memory/search --json '{"query": "bicycle", "mode": "text"}' | jq -r '.results[0].episode_id')" "$id"
	same "found here" "$(curl --silent http://127.0.0.1:8003/memory/search --json '{"query": "bicycle", "mode": "text"}' | jq -r '.results[0].episode_id')" "$id"
	same "by IPv6" "$(with_token "$friend6" "/memory/episode/$id" --resolve "nexus.test:443:[$machine_here6]" | jq -r .episode.episode_id)" "$id"
	with_token "$friend" "/memory/episode/$id" --request DELETE | jq -e .success >/dev/null
}

only_the_memory_goes_out() {
	local path
	status_is 200 with_token "$friend" /health
	status_is 200 with_token "$friend" /stats
	for path in /metrics /memory/export /memory/import; do status_is 403 with_token "$friend" "$path"; done
	for path in / /openapi.json /memory /nothing; do status_is 404 with_token "$friend" "$path" --path-as-is; done
	for path in /../metrics /memory/../metrics /memory/..%2fmetrics /memory//export; do
		with_token "$friend" "$path" --path-as-is >/dev/null
		[[ $(<"$work/status") =~ ^(403|404)$ ]] || { echo "$path: $(<"$work/status")" >&2 && return 1; }
	done
}

more_goes_out_when_asked() {
	set_setting NEXUS_REMOTE_CALLS metrics,export
	systemctl restart nexus-api.service
	status_is 401 from "$friend" https://nexus.test/metrics
	with_token "$friend" /metrics | found '^nexus_api_outside_total '
	status_is 200 with_token "$friend" /memory/export
	set_setting NEXUS_REMOTE_CALLS ''
	systemctl restart nexus-api.service
	status_is 403 with_token "$friend" /metrics
}

# handshake VERSION: prints the output of openssl, which accepts even the oldest versions.
handshake() {
	ip netns exec outside openssl s_client -connect "$machine_here:443" -servername nexus.test "-$1" -cipher 'ALL:@SECLEVEL=0' \
		-bind "$friend" -CAfile "$authority" -verify_return_error </dev/null 2>&1
}

tls_is_new_and_verified() {
	local version
	for version in tls1_2 tls1_3; do handshake "$version" | found '^ *Verif.*: OK\|Verify return code: 0'; done
	for version in tls1 tls1_1; do fails "alert protocol version" handshake "$version"; done
	# The system's authorities do not trust it.
	fails "verify the legitimacy" ip netns exec outside curl --silent --show-error --resolve "nexus.test:443:$machine_here" --interface "$friend" https://nexus.test/health
	status_is 401 from "$friend" https://nexus.test/health
}

http_2_and_3() {
	from "$friend" --http2 https://nexus.test/health >/dev/null
	grep -q '^HTTP/2 401' "$work/header"
	grep -qi '^alt-svc: h3=":443"' "$work/header"
	if curl --version | found -w HTTP3; then
		from "$friend" --http3-only https://nexus.test/health >/dev/null
		grep -q '^HTTP/3 401' "$work/header"
	fi
}

other_host_names_are_refused() {
	fails "" from "$friend" --resolve "other.test:443:$machine_here" https://other.test/health
	fails "" from "$friend" "https://$machine_here/health"
	fails "" from "$friend" --header 'Host: other.test' https://nexus.test/health
	same "the received header" "$(cat "$work/header")" ""
}

headers_for_browsers() {
	local wanted
	with_token "$friend" /health >/dev/null
	for wanted in 'strict-transport-security: max-age=' 'x-content-type-options: nosniff' 'x-frame-options: DENY' 'cache-control: no-store' "content-security-policy: default-src 'none'"; do
		grep -qi "^$wanted" "$work/header" || { echo "no $wanted" >&2 && return 1; }
	done
	if grep -qiE '^(server|via):' "$work/header"; then return 1; fi
}

body_has_a_limit() {
	head --bytes=5000000 /dev/zero >"$work/large"
	status_is 413 with_token "$friend" /memory/action --data-binary "@$work/large"
}

the_log_shows_no_request_content() {
	with_token "$friend" '/memory/episodic/recent?limit=1&note=xyzzy-in-the-query' --header 'X-Nexus-Agent: xyzzy-in-a-header' >/dev/null
	docker logs nexus-proxy >"$work/log" 2>&1
	grep -q '"uri":"/memory/episodic/recent"' "$work/log"
	grep -q "\"remote_ip\":\"$friend\"" "$work/log"
	if grep -qF -e xyzzy -e Bearer -e "$(token)" "$work/log"; then return 1; fi
	same "its storage" "$(docker inspect --format '{{.HostConfig.LogConfig.Type}} {{index .HostConfig.LogConfig.Config "max-size"}} {{index .HostConfig.LogConfig.Config "max-file"}}' nexus-proxy)" "json-file 10m 5"
	if journalctl --unit=nexus-api --unit=nexus-proxy --output=cat | found -F -e xyzzy -e "$(token)"; then return 1; fi
}

container_is_confined() {
	same "who, and with what" "$(docker inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}} {{.HostConfig.CgroupParent}}' nexus-proxy | sed 's/\[CAP_/[/')" "766:766 true [ALL] [NET_BIND_SERVICE] nexus-proxy.slice"
	same "its mounts" "$(docker inspect --format '{{range .Mounts}}{{.Destination}} {{.RW}}{{"\n"}}{{end}}' nexus-proxy | sort | paste -sd' ')" " /data true /etc/caddy false /run/nexus-proxy false /tls false"
	same "its capabilities" "$(awk '/^CapBnd/ { print $2 }' "/proc/$(docker inspect --format '{{.State.Pid}}' nexus-proxy)/status")" 0000000000000400
	# Caddy's admin port.
	fails "" curl --silent --max-time 5 http://127.0.0.1:2019/config/
}

only_the_proxy_reaches_its_socket() {
	local socket=/run/nexus/proxy/api.sock user
	same "its owner and mode" "$(stat --format='%U:%G %a' "$socket")" "root:nexus-proxy 660"
	for user in nexus nexus-api nobody; do
		fails "" setpriv --reuid="$user" --regid="$user" --init-groups curl --silent --show-error --unix-socket "$socket" http://localhost/health
	done
	# Even root is refused without the client's address.
	same "without an address" "$(curl --silent --unix-socket "$socket" --header "Authorization: Bearer $(token)" http://localhost/health | jq -r .code)" no_address
	# Here the header has no effect.
	same "over the local socket" "$(curl --silent --unix-socket /run/nexus/api.sock --header "X-Forwarded-For: $stranger" --output /dev/null --write-out '%{http_code}' http://localhost/stats)" 200
}

serial() { ip netns exec outside openssl s_client -connect "$machine_here:443" -servername nexus.test -bind "$friend" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
is_renewed() { [[ -n $1 && -n $(serial) && $(serial) != "$1" ]]; }
# Caddy renews by itself, with shorter times: certificates of half a minute, checked every second.
certificate_is_renewed() {
	local before file=$compose/caddy/Caddyfile
	cp "$file" "$work/Caddyfile"
	sed -e '0,/^{/s//{\n\trenew_interval 1s/' -e 's/^\t\tissuer internal$/\t\tissuer internal {\n\t\t\tlifetime 30s\n\t\t}/' "$work/Caddyfile" >"$file"
	rm -rf /var/lib/nexus/proxy/caddy/certificates
	systemctl reload nexus-proxy.service
	await 30 status_is 401 from "$friend" https://nexus.test/health
	before=$(serial)
	await 120 is_renewed "$before"
	# From the same authority, without any change for clients.
	status_is 401 from "$friend" https://nexus.test/health
	cp "$work/Caddyfile" "$file"
	rm -rf /var/lib/nexus/proxy/caddy/certificates
	systemctl reload nexus-proxy.service
	await 30 status_is 401 from "$friend" https://nexus.test/health
}

own_certificate_is_taken() {
	local tls=/etc/nexus/tls
	rm -f "$tls"/*.pem
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" -days 30 -subj /CN=mine -addext subjectAltName=DNS:nexus.test 2>/dev/null
	set_setting NEXUS_TLS files
	fails "" systemctl restart nexus-proxy.service
	journalctl --unit=nexus-proxy --output=cat --lines=20 | found 'reading /etc/nexus/tls/cert.pem: it does not exist'
	install --mode=644 "$work/cert.pem" "$tls/cert.pem"
	install --group=nexus-proxy --mode=644 "$work/key.pem" "$tls/key.pem"
	fails "others may read the key" env NEXUS_TLS=files nexus-remote check
	chmod 640 "$tls/key.pem"
	systemctl restart nexus-proxy.service
	authority=$tls/cert.pem status_is 401 from "$friend" https://nexus.test/health
	rm "$tls"/{cert,key}.pem
	set_setting NEXUS_TLS internal
	systemctl restart nexus-proxy.service
	await 30 status_is 401 from "$friend" https://nexus.test/health
}

caddy_that_ends_comes_back() {
	kill -KILL "$(docker inspect --format '{{.State.Pid}}' nexus-proxy)"
	await 60 status_is 401 from "$friend" https://nexus.test/health
}

a_stopped_caddy_is_reported_and_local_programs_work() {
	docker stop nexus-proxy >/dev/null
	fails "" from "$friend" https://nexus.test/health
	curl --silent --fail http://127.0.0.1:8003/health | jq -e '.status == "healthy"' >/dev/null
	curl --silent --fail http://127.0.0.1:8003/memory/search --json '{"query": "bicycle", "mode": "text"}' >/dev/null
	nexus-health --once >"$work/table" || true
	grep -qE '^warning +containers +nexus-proxy has exited' "$work/table"
	systemctl reload nexus-proxy.service
	await 30 status_is 401 from "$friend" https://nexus.test/health
}
