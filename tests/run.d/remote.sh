# Other machines: Caddy before the API, seen from a network namespace that stands for the outside.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

# caddy_of_debian DIRECTORY: the program, of Debian forky's package, since trixie's is older than what the compose file names. Once
# unpacked it stays in the cache of the tests.
caddy_of_debian() {
	local cached=$tools/caddy version=2.11.4-1 mirror
	if [[ $("$cached/usr/bin/caddy" version 2>/dev/null) != "${version%-*}"* ]]; then
		install -d "$cached"
		mirror=$(apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
			sed -nE 's,^(https?://[^ ]*debian/?) [a-z]+ main$,\1,p' | head -n 1)
		curl --silent --show-error --fail --location --max-time 300 --output "$cached/caddy.deb" \
			"${mirror%/}/pool/main/c/caddy/caddy_${version}_$(dpkg --print-architecture).deb"
		dpkg-deb --extract "$cached/caddy.deb" "$cached"
		rm "$cached/caddy.deb"
	fi
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
