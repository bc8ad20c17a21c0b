# What a machine has that NEXUS could have brought: to compare before it came and after it went.
# shellcheck shell=bash

# Prints a line for each file, user, unit, volume, container, network and socket. Left out is what changes by itself or belongs to
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

# note_traces FILE
note_traces() { traces | LC_ALL=C sort --unique >"$1"; }

# no_traces_since FILE [MORE]: nothing has come or gone since note_traces; lines of the extended regular expression MORE may have come.
no_traces_since() {
	local differs
	differs=$(note_traces /dev/stdout | diff "$1" - | grep '^[<>]' | grep -vE "${2:-^$}" || true)
	[[ -z $differs ]] || { printf 'left behind (>) or taken along (<): %s\n' "$(head -n 20 <<<"$differs" | paste -sd'|')" >&2 && return 1; }
}
