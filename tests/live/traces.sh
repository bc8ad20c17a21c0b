# Lists what NEXUS could have left on a machine, to compare before its installation and after its removal.
# shellcheck shell=bash

# Prints a line for each file, user, unit, volume, container, network and socket. Leaves out what changes by itself, and what belongs to
# the tests, to apt or to Docker's own store.
traces() {
	find / -xdev \( -path /root -o -path /tmp -o -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /var/tmp -o -path /var/log -o -path /var/cache \
		-o -path /var/lib/docker -o -path /var/lib/containerd -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd/random-seed \
		-o -path '/etc/*-' -o -path /etc/.pwd.lock -o -path /home \) -prune -o -path /var/lib/systemd/timers -o -printf 'file %y %m %u:%g %p\n'
	find /run -not -path '/run/systemd/*' -iname '*nexus*' -printf 'file %p\n'
	find /run/systemd -name '*nexus*' -not -path '/run/systemd/*/invocation*' -not -path '/run/systemd/units/*' -printf 'file %p\n'
	getent passwd | sed 's/^/user /'
	getent group | sed 's/^/group /'
	systemctl list-unit-files --no-legend --no-pager | awk '$1 !~ /\.(scope|mount)$/ { print "unit file", $1, $2 }'
	systemctl list-units --all --no-legend --no-pager --plain 'nexus*' | awk '{ print "unit", $1 }'
	docker volume ls --quiet | sed 's/^/volume /'
	docker ps --all --format 'container {{.Names}}'
	docker network ls --format 'network {{.Name}}'
	ss --listening --unix --no-header | awk '$5 ~ "^/" && $5 !~ "containerd|^/(var/)?run/(docker|systemd)/" { print "socket", $5 }'
	ss --listening --tcp --udp --numeric --no-header | awk '{ print "socket", $1, $5 }'
}

# note_traces FILE: writes them to FILE.
note_traces() { traces | LC_ALL=C sort --unique >"$1"; }

# no_traces_since FILE [MORE]: fails if anything has appeared or disappeared since note_traces, except new lines that match the extended
# regular expression MORE.
no_traces_since() {
	local differs
	differs=$(note_traces /dev/stdout | diff "$1" - | grep '^[<>]' | grep -vE "${2:-^$}" || true)
	[[ -z $differs ]] || { printf 'left behind (>) or taken along (<): %s\n' "$(head -n 20 <<<"$differs" | paste -sd'|')" >&2 && return 1; }
}
