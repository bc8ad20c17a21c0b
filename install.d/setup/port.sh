# Finds the programs that use the addresses of NEXUS's API.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

api_sockets=(nexus-api.socket nexus-api-ipv6.socket)

# addresses_of SOCKET: prints the addresses where it listens, or will listen once installed. A drop-in may have changed them.
addresses_of() {
	local listens
	listens=$(systemctl show --property=Listen --value "$1" 2>/dev/null) || listens=''
	if [[ -n $listens ]]; then
		sed -n 's/ (Stream)$//p' <<<"$listens"
	elif [[ $1 == nexus-api.socket ]]; then
		echo 127.0.0.1:8003
	else
		echo '[::1]:8003'
	fi
}

# listener_at ADDRESS:PORT: prints the user and process that listen there or on every address; nothing if none does. The kernel lists
# ports in hexadecimal, and addresses in words of this machine's byte order (proc(5)).
listener_at() {
	local port places uid inode
	case ${1%:*} in
	127.0.0.1) places='0100007F|0{8}|0{32}|0{16}FFFF0000(0100007F|0{8})' ;;
	'[::1]') places='0{24}01000000|0{32}' ;;
	*) return 0 ;;
	esac
	port=$(printf '%04X' "${1##*:}")
	# Other users can make the list long, so only the line wanted comes here.
	read -r uid inode < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
		grep --max-count=1 -E "^ *[0-9]+: ($places):$port [0-9A-F]+:[0-9A-F]+ 0A " | awk '{ print $8, $10 }') || return 0
	printf 'the user %s, %s' "$(getent passwd "$uid" | cut -d: -f1 | grep . || echo "number $uid")" "$(process_with "$inode")"
}

# is_bound ADDRESS:PORT: whether a program has bound it, tested as systemd would (socket(7), SO_REUSEADDR). The kernel does not list
# a program that has bound a port but does not listen.
# shellcheck disable=SC2016 # Perl's variables
is_bound() {
	[[ $1 =~ ^\[?([0-9a-f.:]+)\]?:([0-9]+)$ ]] || return
	env --ignore-environment perl -MErrno -MIO::Socket::IP -e 'exit !(!IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => $ARGV[1], Listen => 1, ReuseAddr => 1, GetAddrInfoFlags => 0) && $!{EADDRINUSE})' \
		"${BASH_REMATCH[@]:1:2}"
}

# process_with INODE: prints the process that has this socket open. Only root sees the processes of other users.
process_with() {
	local link process name=''
	# A process may end meanwhile.
	link=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\[$1\]" -print -quit 2>/dev/null) || true
	process=${link#/proc/}
	process=${process%%/*}
	# The name is untrusted.
	if [[ -n $process ]]; then name=$(tr -cd '[:alnum:]._+-' 2>/dev/null <"/proc/$process/comm") || true; fi
	if [[ -n $process ]]; then printf 'process %s (%s)' "$process" "$name"; else printf 'in a process that cannot be seen from here'; fi
}

# port_conflicts: prints a line for each address of the API that another program uses, with its user and process.
port_conflicts() {
	local socket address listener
	for socket in "${api_sockets[@]}"; do
		# An active socket means that systemd listens there for NEXUS.
		if systemctl is-active --quiet "$socket" 2>/dev/null; then continue; fi
		while IFS= read -r address; do
			listener=$(listener_at "$address")
			if [[ -z $listener ]] && is_bound "$address"; then
				listener='it has bound the port but does not listen (ss -tanp --bound-inactive names it, from Linux 6.8 on)'
			fi
			[[ -z $listener ]] || printf "%s, the address of NEXUS's API, is in use by another program: %s\n" "$address" "$listener"
		done < <(addresses_of "$socket")
	done
}

check_port() {
	local conflict
	while IFS= read -r conflict; do
		missing "a free port" "$conflict. Stop it, or give it another port; see it with: ss -ltnp 'sport = :8003'"
	done < <(port_conflicts)
}

# Prints why the API does not listen; nothing if it listens. Another program may have taken its port since the check.
refusal_of_port() {
	local socket found
	for socket in "${api_sockets[@]}"; do
		if systemctl is-failed --quiet "$socket"; then
			found=$(port_conflicts | paste -sd';')
			printf 'programs do not reach NEXUS: %s. The memory, its backups and SQL run; %s' "${found:-$socket does not start: journalctl -u $socket}" \
				'the API starts by itself within minutes once the port is free'
			return
		fi
	done
}

require_port() {
	local refusal
	refusal=$(refusal_of_port)
	[[ -z $refusal ]] || stop 69 "$refusal"
}
complain_of_port() {
	local refusal
	refusal=$(refusal_of_port)
	[[ -z $refusal ]] || complain "$refusal"
}
