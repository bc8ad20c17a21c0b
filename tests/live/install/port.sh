# Another user's program has the API's port: setup names it, does not report that NEXUS runs, and sends no text of the memory to it.
# shellcheck shell=bash disable=SC2154,SC2031 # clone, owner and work are those of tests/live/install.sh

listens_at() { ss -Htln | found -F "$1 "; }

# a_stranger ADDRESS LISTED [USER]: starts a program of USER, or nobody, that listens there until the check ends; sets stranger to its
# process.
a_stranger() {
	setpriv --reuid="${3:-nobody}" --regid=nogroup --clear-groups python3 -c '
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
	# shellcheck disable=SC2064 # this process
	trap "kill $stranger 2>/dev/null || true" EXIT
	await 10 listens_at "$2"
}
stranger_goes() {
	kill "$stranger"
	wait "$stranger" 2>/dev/null || true
}

# a_toggler: starts a program of user nobody that binds 127.0.0.1:8003 without listening. After SIGUSR1 it listens for one connection,
# answers like NEXUS, and stops listening.
a_toggler() {
	setpriv --reuid=nobody --regid=nogroup --clear-groups python3 -u -c '
import signal, socket
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
door = socket.socket()
# SO_REUSEADDR ignores connections in TIME_WAIT, and lets no other program listen.
def shares(yes):
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, yes)
shares(1)
door.bind(("127.0.0.1", 8003))
while True:
    shares(0)
    print("bound")
    signal.sigwait([signal.SIGUSR1])
    shares(1)
    door.listen()
    guest = door.accept()[0]
    guest.settimeout(3)
    body = b"""{"service": "NEXUS API", "episode_id": "none"}"""
    try:
        print(guest.recv(65536), guest.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)), guest.recv(65536))
    except OSError as error:
        print(error)
    guest.close()
    door.shutdown(socket.SHUT_RDWR)' >"$work/asked" 2>&1 &
	stranger=$!
	# shellcheck disable=SC2064 # this process
	trap "kill $stranger 2>/dev/null || true" EXIT
	await 10 found bound "$work/asked"
}
# in_the_gap PROCESS COMMAND…: runs COMMAND, and delays each of its connections until PROCESS listens. All its earlier checks found no
# listener.
in_the_gap() {
	python3 -B -c '
import os, runpy, signal, sys, time
def before(event, arguments):
    if event == "socket.connect":
        print("connects to", arguments[1], file=sys.stderr)
        os.kill(stranger, signal.SIGUSR1)
        end = time.monotonic() + 30
        while time.monotonic() < end and not any(line.split()[1:4:2] == ["0100007F:1F43", "0A"] for line in open("/proc/net/tcp")):
            time.sleep(0.001)
stranger = int(sys.argv[1])
sys.addaudithook(before)
sys.path.insert(0, os.path.dirname(sys.argv[2]))
program, sys.argv = sys.argv[2], sys.argv[2:]
runpy.run_path(program, run_name="__main__")' "$@"
}

# does_not_run WORDS COMMAND…: must exit with 69 and these words, and must not report that NEXUS runs.
does_not_run() {
	local words=$1 said status=0
	shift
	said=$("$@" 2>&1 </dev/null) || status=$?
	same "the exit code of $* ($said)" "$status" 69
	[[ $said == *"$words"* ]] || { printf 'it said "%s" and not "%s"\n' "$said" "$words" >&2 && return 1; }
	[[ $said != *"NEXUS runs"* ]]
}

# Before the installation of NEXUS.
strangers_port_stops_an_installation() {
	local address listed stranger said
	while read -r address listed said; do
		a_stranger "$address" "$listed"
		said="$said, the address of NEXUS's API, is in use by another program: the user nobody, process $stranger (python3)"
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

# Without root, setup names the user, but not the process.
strangers_port_is_named_to_anyone() {
	local stranger
	a_stranger 127.0.0.1 127.0.0.1:8003
	chmod -R a+rX "$work"
	same "the name" "$(setpriv --reuid=daemon --clear-groups bash -c ". '$work/clone/install.d/setup/port.sh' && listener_at 127.0.0.1:8003")" \
		"the user nobody, in a process that cannot be seen from here"
	same "a port that nobody has" "$(. "$clone/install.d/setup/port.sh" && listener_at 127.0.0.1:8004)" ""
	stranger_goes
}

# With NEXUS installed, a program takes the port between setup's check and the start; --after-install skips the check to simulate that.
a_strangers_port_is_reported_at_the_end() {
	local address listed stranger
	while read -r address listed; do
		systemctl stop nexus-api.socket nexus-api-ipv6.socket nexus-api.service
		a_stranger "$address" "$listed"
		does_not_run "$listed, the address of NEXUS's API, is in use by another program: the user nobody, process $stranger (python3)" \
			nexus-setup --after-install --yes --model none
		does_not_run "a free port: $listed" nexus-setup --yes --model none
		fails "belongs to another user's program" env NEXUS_URL="http://$listed" python3 -B "$clone/docs/examples/nexus_client.py" remember secret
		same "requests to the stranger" "$(grep -c HTTP "$work/asked" || true)" 0
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

client=/usr/local/share/nexus/examples/nexus_client.py
as_daemon() { setpriv --reuid=daemon --regid=daemon --clear-groups env NEXUS_URL="$1" python3 -B "$client" "${@:2}"; }

# A bound port is in use, although no list shows it, and its program can listen between a check of the lists and a connection.
strangers_port_that_is_bound_only() {
	local stranger
	systemctl stop nexus-api.socket nexus-api-ipv6.socket nexus-api.service
	head --bytes=40 /dev/urandom | base64 >"$work/token"
	a_toggler
	does_not_run "127.0.0.1:8003, the address of NEXUS's API, is in use by another program: it has bound the port but does not listen" nexus-setup --yes --model none
	does_not_run "it has bound the port but does not listen" nexus-setup --after-install --yes --model none
	fails "belongs to another user's program" env NEXUS_TOKEN_FILE="$work/token" bash -c "$(declare -f in_the_gap); in_the_gap $stranger $client remember secret"
	same "requests to the stranger" "$(grep -cE 'HTTP|secret|Bearer' "$work/asked" || true)" 0
	stranger_goes
	rm "$work/token"
	exits 0 "NEXUS runs" nexus-setup --yes --model none
}

# Listeners that the client's connections cannot reach do not matter.
strangers_on_other_addresses_do_no_harm() {
	local stranger
	a_stranger 127.0.0.5 127.0.0.5:8003
	exits 0 "" as_daemon http://127.0.0.1:8003 remember "beside a stranger"
	exits 0 "" as_daemon 'http://[::1]:8003' recall "beside a stranger"
	fails "belongs to another user's program" as_daemon http://127.0.0.5:8003 remember secret
	same "requests to the stranger" "$(grep -c HTTP "$work/asked" || true)" 0
	stranger_goes
}

# Before Linux 6.17 the list may show user 0 for a connection that a stranger's program is just accepting. Newer kernels do not, so this
# changes the line that the client reads first.
a_user_who_may_be_no_root_is_read_again() {
	local stranger
	systemctl stop nexus-api.socket nexus-api-ipv6.socket nexus-api.service
	a_stranger 127.0.0.1 127.0.0.1:8003
	fails "belongs to another user's program" setpriv --reuid=daemon --regid=daemon --clear-groups python3 -B -c '
import builtins, io, runpy, sys
real, changed = open, []
def open_list(path, *arguments, **options):
    file = real(path, *arguments, **options)
    if path != "/proc/net/tcp" or changed:
        return file
    lines = [line.split() for line in file]
    for fields in lines[1:]:
        if fields[1] == "0100007F:1F43" and fields[3] == "01" and fields[9] != "0":
            changed.append(fields)
            fields[7] = "0"
    return io.StringIO("\n".join(map(" ".join, lines)))
builtins.open = open_list
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    assert changed' "$client" remember secret
	same "requests to the stranger" "$(grep -c HTTP "$work/asked" || true)" 0
	stranger_goes
	exits 0 "NEXUS runs" nexus-setup --yes --model none
}

# The owner's own tunnel is allowed, also if one socket serves both kinds of addresses.
own_programs_are_asked() {
	local stranger address
	systemctl stop nexus-api.socket nexus-api-ipv6.socket nexus-api.service
	for address in 127.0.0.1 ::; do
		a_stranger "$address" "$([[ $address == :: ]] && echo '*' || echo "$address"):8003" daemon
		same "the answer of $address" "$(as_daemon http://127.0.0.1:8003 remember "to my own")" none
		stranger_goes
		a_stranger "$address" "$([[ $address == :: ]] && echo '*' || echo "$address"):8003"
		fails "belongs to another user's program" as_daemon http://127.0.0.1:8003 remember secret
		same "requests to the stranger" "$(grep -c HTTP "$work/asked" || true)" 0
		stranger_goes
	done
	exits 0 "NEXUS runs" nexus-setup --yes --model none
}

the_client_uses_the_socket_where_it_may() {
	local path=/run/nexus/api.sock
	same "where root connects to" "$(python3 -B -c '
import runpy, sys
sys.addaudithook(lambda event, arguments: print(arguments[1]) if event == "socket.connect" else None)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")' "$client" remember "over the socket" | head -n 1)" "$path"
}
