# Makes Caddy's container image from Debian's program, under the name of the official one: with the same path, the same file capability
# for low ports, and the same shell and wget of busybox.
# shellcheck shell=bash disable=SC2154 # the caller's: binaries, compose, work

caddy_stand_in() {
	local root=$work/caddy library applet
	install -d "$root"/{bin,etc/caddy,usr/bin,tmp,data,tls,run/nexus-proxy}
	install "$binaries/caddy" "$root/usr/bin/caddy"
	install "$binaries/busybox" "$root/bin/busybox"
	for applet in sh wget cat id; do ln -s busybox "$root/bin/$applet"; done
	while read -r library; do install -D "$library" "$root$library"; done < <({ ldd "$binaries/caddy" && ldd "$binaries/busybox" 2>&1; } | grep -oE '/[^ ]+')
	setcap cap_net_bind_service=+ep "$root/usr/bin/caddy"
	tar --create --xattrs --xattrs-include='security.*' --directory="$root" . |
		docker import --change 'LABEL org.nexus.stand-in=debian' - "$(sed -nE 's/.*\$\{NEXUS_CADDY_IMAGE:-([^}]+)\}.*/\1/p' "$compose/docker-compose.yml")" >/dev/null
}
