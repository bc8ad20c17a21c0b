#!/bin/bash
# stand-in.sh MIRROR STAND-IN ROOT: creates the file system of a container image from Debian forky's packages.
# The recipe of each is in stand-in/STAND-IN: packages, users.sh (runs before they are installed), finish.sh (runs after),
# docker-entrypoint.sh, and changes (the image's settings, for `docker import`).

set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=debian.sh
. "$here/debian.sh"
mirror=$1 recipe=$here/stand-in/$2 root=$3

debian forky "$mirror" "$root" --variant=essential --include="$(packages "$recipe/packages")" \
	--essential-hook="$recipe/users.sh \"\$1\"" --customize-hook="$recipe/finish.sh \"\$1\""
install --mode=755 "$recipe/docker-entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"

# Removes what no container needs. /var/lib/dpkg stays, because it lists the installed versions.
rm -rf "$root"/usr/share/{doc,man,info,locale,i18n,perl,perl5,bash-completion,lintian,systemd} \
	"$root"/usr/lib/*-linux-gnu/{perl,systemd} "$root"/usr/lib/{systemd,udev} "${root:?}"/{boot,media,mnt,srv} \
	"$root"/var/{cache,log}/* "$root"/var/lib/{apt,systemd} "$root"/etc/{init.d,rc?.d,systemd,hostname,resolv.conf} \
	"$root"/tmp/*
