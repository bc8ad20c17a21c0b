# The outside: a namespace at the other end of a virtual cable. Two of its addresses are on the list, in IPv4 and IPv6; one is not.
# shellcheck shell=bash disable=SC2034,SC2154 # what one part sets, another reads

machine_here=10.77.0.1 machine_here6=fd77::1
friend=10.77.0.2 friend6=fd77::2 other_friend=10.77.0.3 slow_friend=10.77.0.4 stranger=10.77.0.66 stranger6=fd77::66
allowed="$friend $other_friend $slow_friend $friend6"
authority=/var/lib/nexus/proxy/caddy/pki/authorities/local/root.crt

outside_comes() {
	local address
	remove_outside
	ip netns add outside
	ip link add nexus-cable type veth peer name cable netns outside
	ip address add "$machine_here/24" dev nexus-cable
	ip address add "$machine_here6/64" dev nexus-cable nodad
	ip link set nexus-cable up
	for address in "$friend/24" "$other_friend/24" "$slow_friend/24" "$stranger/24"; do ip -netns outside address add "$address" dev cable; done
	for address in "$friend6/64" "$stranger6/64"; do ip -netns outside address add "$address" dev cable nodad; done
	ip -netns outside link set cable up
	ip -netns outside link set lo up
	# No program listens there, but a refused connection shows that the cable works.
	await 30 ip netns exec outside python3 -c "import errno, socket; exit(socket.socket().connect_ex(('$machine_here', 1)) != errno.ECONNREFUSED)"
}

remove_outside() {
	ip netns delete outside 2>/dev/null || true
	ip link delete nexus-cable 2>/dev/null || true
}

# from ADDRESS CURL-ARGUMENT…: sends a request over HTTPS, and prints the body. The status is in $work/status.
from() {
	local address=$1
	shift
	ip netns exec outside curl --silent --show-error --max-time 30 --interface "$address" --cacert "$authority" \
		--resolve "nexus.test:443:$machine_here" --resolve "nexus.test:80:$machine_here" \
		--output "$work/body" --dump-header "$work/header" --write-out '%{http_code}' "$@" >"$work/status" && cat "$work/body"
}

token() { tail -n 1 /etc/nexus/credentials/remote_token; }
# with_token ADDRESS PATH [CURL-ARGUMENT…]: like from, with the token in a file.
with_token() {
	printf 'header = "Authorization: Bearer %s"\n' "$(token)" >"$work/token"
	from "$1" --config "$work/token" "https://nexus.test$2" "${@:3}"
}

# status_is STATUS COMMAND…: the request must get this status.
status_is() {
	local wanted=$1
	shift
	"$@" >/dev/null
	same "the status of $*" "$(<"$work/status")" "$wanted"
}

# scan SOURCE [TARGET [all]]: prints the TCP ports that answer, of the usual ones or of all.
scan() { ip netns exec outside python3 "$here/remote/scan.py" "$1" "${2:-$machine_here}" "${3:-few}"; }
udp_listeners() { ss --udp --listening --numeric --no-header | awk '{ print $4 }' | grep -v '^127\.' | sed 's/.*://' | sort -u | paste -sd' '; }

set_setting() { sed -i "s|^$1=.*|$1=$2|" "$settings"; }
set_to_internal() {
	set_setting NEXUS_DOMAIN nexus.test
	set_setting NEXUS_TLS internal
	set_setting NEXUS_ALLOW_IPS "$allowed"
}
switch() { "$clone/install.sh" --remote "$1" >"$work/switched" 2>&1; }
