#!/bin/sh
# machine-finish.sh ROOT: the new machine's settings.

set -eu
root=$1

# One mirror and no forky: it has no network anyway, and what a test reads here should look like a plain trixie.
rm -f "$root/etc/apt/sources.list.d/forky.list" "$root/etc/apt/preferences.d/forky"
echo 'deb http://deb.debian.org/debian trixie main' >"$root/etc/apt/sources.list"

# Nor are documents left out any more: a package that a test installs is to be whole.
rm -f "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$root"/etc/apt/apt.conf.d/99mmdebstrap

# nspawn gives the host name, systemd the machine's identity. The host's resolver is of no use without a network.
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
: >"$root/etc/machine-id"
ln -sf /usr/share/zoneinfo/Etc/UTC "$root/etc/localtime"
echo 'LANG=C.UTF-8' >"$root/etc/locale.conf"
mkdir -p "$root/var/log/journal"

# Units that fail or make noise here, and those that would reach through the writable /proc/sys and /sys to the host.
for unit in \
	systemd-modules-load.service systemd-sysctl.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
	systemd-udevd.service systemd-udev-trigger.service systemd-journald-audit.socket \
	systemd-networkd.service systemd-networkd-wait-online.service systemd-resolved.service systemd-timesyncd.service \
	console-getty.service getty.target \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
