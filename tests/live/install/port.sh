# Another user's program has the API's port: setup names it and does not report that NEXUS runs, and no text of the memory goes to
# it.
# shellcheck shell=bash disable=SC2154,SC2031 # clone, owner and work are those of tests/live/install.sh

listens_at() { ss -Htln | found -F "$1 "; }

# a_stranger ADDRESS LISTED: a program of user nobody listens there; stranger is its process.
a_stranger() {
	setpriv --reuid=nobody --regid=nogroup --clear-groups python3 -c '
import http.server, socket, sys
class Stranger(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"""{"service": "NEXUS API", "episode_id": "none"}""")
    do_POST = do_GET
class Server(http.server.HTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
Server((sys.argv[1], 8003), Stranger).serve_forever()' "$1" >"$work/asked" 2>&1 &
	stranger=$!
	await 10 listens_at "$2"
}
stranger_goes() {
	kill "$stranger"
	wait "$stranger" 2>/dev/null || true
}

# does_not_run WORDS COMMAND…: 69, with these words, and no word that NEXUS runs.
does_not_run() {
	local words=$1 said status=0
	shift
	said=$("$@" 2>&1 </dev/null) || status=$?
	same "the exit code of $* ($said)" "$status" 69
	[[ $said == *"$words"* ]] || { printf 'it said "%s" and not "%s"\n' "$said" "$words" >&2 && return 1; }
	[[ $said != *"NEXUS runs"* ]]
}

# Before NEXUS came.
strangers_port_stops_an_installation() {
	local address listed stranger said
	while read -r address listed said; do
		a_stranger "$address" "$listed"
		said="$said, where NEXUS's API listens, belongs to another program: the user nobody, process $stranger (python3)"
		does_not_run "$said" "$clone/install.sh" --check --bin-dir "$clone/bin"
		does_not_run "$said" install_now
		stranger_goes
	done <<-'LIST'
		127.0.0.1 127.0.0.1:8003 127.0.0.1:8003
		::1 [::1]:8003 [::1]:8003
		0.0.0.0 0.0.0.0:8003 127.0.0.1:8003
		:: *:8003 [::1]:8003
	LIST
	nothing_is_left
}

# To a person without root setup names the user, not the process.
strangers_port_is_named_to_anyone() {
	local stranger
	a_stranger 127.0.0.1 127.0.0.1:8003
	chmod -R a+rX "$work"
	same "the name" "$(setpriv --reuid=daemon --clear-groups bash -c ". '$work/clone/install.d/setup/port.sh' && holder_of 127.0.0.1:8003")" \
		"the user nobody, in a process that cannot be seen from here"
	same "a port that nobody has" "$(. "$clone/install.d/setup/port.sh" && holder_of 127.0.0.1:8004)" ""
	stranger_goes
}

# NEXUS is here. The port is taken between the look at this machine and the start; for that the look is left out (--after-install).
strangers_port_is_told_at_the_end() {
	local address listed stranger
	while read -r address listed; do
		systemctl stop nexus-api.socket nexus-api-ipv6.socket nexus-api.service
		a_stranger "$address" "$listed"
		does_not_run "$listed, where NEXUS's API listens, belongs to another program: the user nobody, process $stranger (python3)" \
			nexus-setup --after-install --yes --model none
		does_not_run "a free port: $listed" nexus-setup --yes --model none
		fails "belongs to another user's program" env NEXUS_URL="http://$listed" python3 -B "$clone/docs/examples/nexus_client.py" remember secret
		same "what the stranger was asked" "$(grep -c HTTP "$work/asked" || true)" 0
		stranger_goes
		exits 0 "NEXUS runs" nexus-setup --yes --model none
		same "the sockets" "$(systemctl is-active nexus-api.socket nexus-api-ipv6.socket | sort -u)" active
		curl --silent --fail --output /dev/null "http://$listed/health"
		curl --silent --fail --output /dev/null --unix-socket /run/nexus/api.sock http://localhost/health
	done <<-'LIST'
		127.0.0.1 127.0.0.1:8003
		::1 [::1]:8003
	LIST
}
