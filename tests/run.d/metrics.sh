# Prepares other programs that measure, from Debian's packages: Prometheus, node_exporter, Netdata.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

part_metrics() {
	local binaries
	installed
	need prometheus=prometheus prometheus-node-exporter=prometheus-node-exporter
	# The machine has no network to pull images, so it makes them of these binaries.
	binaries=$(mktemp -d)
	install "$(type -P prometheus)" "$(type -P promtool)" "$(type -P prometheus-node-exporter)" "$binaries"
	"$machine" copy "$installed_machine" "$binaries" /root/nexus/metrics
	rm -rf "$binaries"
	in_machine live/metrics.sh /root/nexus/metrics
}

# netdata_in MACHINE: copies Debian's netdata there, with its libraries, which that Debian may not have.
netdata_in() {
	local root library
	need netdata-core=netdata
	root=$(mktemp -d)
	install -d "$root"/opt/netdata "$root/usr/local/bin"
	while read -r library; do
		cp --dereference "$library" "$root/opt/netdata"
	done < <(ldd /usr/sbin/netdata | grep -oE '/[^ ]+' | grep -vE '/(ld-linux.*|libc\.so.*|libm\.so.*)$')
	printf '#!/bin/sh\nLD_LIBRARY_PATH=/opt/netdata exec /usr/sbin/netdata "$@"\n' >"$root/usr/local/bin/netdata"
	chmod 755 "$root/usr/local/bin/netdata"
	tar --create --file="$root/netdata.tar" --directory=/ usr/sbin/netdata usr/lib/netdata usr/share/netdata etc/netdata
	tar --append --file="$root/netdata.tar" --directory="$root" opt/netdata usr/local/bin/netdata
	"$machine" copy "$1" "$root/netdata.tar" /root/netdata.tar
	"$machine" exec "$1" -- sh -c 'tar --extract --no-overwrite-dir --preserve-permissions --directory=/ --file=/root/netdata.tar &&
		{ id netdata >/dev/null 2>&1 || useradd --system netdata; } && install -d -o netdata -g netdata /var/lib/netdata /var/cache/netdata /var/log/netdata'
	rm -rf "$root"
}
