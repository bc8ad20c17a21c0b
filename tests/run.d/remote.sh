# Tests the access from other machines: Caddy in front of the API, reached from a network namespace that stands for the outside.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

# caddy_of_debian DIRECTORY: puts Caddy there, from Debian forky's package, because trixie's is older than the one in the compose file.
# Keeps it in the tests' cache.
caddy_of_debian() {
	local cached=$tools/caddy mirror file
	if [[ ! -x $cached/usr/bin/caddy ]]; then
		need xz-utils=xz
		install -d "$cached"
		# shellcheck disable=SC2016 # apt expands these
		mirror=$(apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
			awk '/debian\/? [a-z]+ main$/ && !found { sub(/\/$/, "", $1); found = $1 } END { print found ? found : "http://deb.debian.org/debian" }')
		file=$(curl --silent --show-error --fail --location --max-time 300 "$mirror/dists/forky/main/binary-$(dpkg --print-architecture)/Packages.xz" |
			xz --decompress | awk '$1 == "Package:" { is_it = $2 == "caddy" } is_it && $1 == "Filename:" { print $2 }')
		curl --silent --show-error --fail --location --max-time 300 --output "$cached/caddy.deb" "$mirror/$file"
		dpkg-deb --extract "$cached/caddy.deb" "$cached"
		rm "$cached/caddy.deb"
	fi
	echo "Caddy is Debian's: $("$cached/usr/bin/caddy" version)"
	install "$cached/usr/bin/caddy" "$1/caddy"
}

part_remote() {
	local binaries
	installed remote
	need curl=curl busybox-static=busybox
	binaries=$(mktemp -d)
	caddy_of_debian "$binaries"
	install "$(type -P busybox)" "$binaries"
	"$machine" copy "$installed_machine" "$binaries" /root/nexus/remote
	rm -rf "$binaries"
	in_machine live/remote.sh /root/nexus/remote
	"$machine" reboot "$installed_machine"
	in_machine live/remote.sh /root/nexus/remote after-reboot
}
