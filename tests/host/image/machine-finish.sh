#!/bin/sh
# machine-finish.sh ROOT: writes the new machine's settings.

set -eu
root=$1

# Leaves the official mirror and no forky: the machine has no network, and to a test it should look like a plain trixie.
rm -f "$root/etc/apt/sources.list.d/forky.list" "$root/etc/apt/preferences.d/forky"
echo 'deb http://deb.debian.org/debian trixie main' >"$root/etc/apt/sources.list"

# Installs packages with their documentation again: a test needs the complete package.
rm -f "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$root"/etc/apt/apt.conf.d/99mmdebstrap

# nspawn sets the host name, and systemd the machine's identity. The host's resolver is useless without a network.
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
: >"$root/etc/machine-id"
ln -sf /usr/share/zoneinfo/Etc/UTC "$root/etc/localtime"
echo 'LANG=C.UTF-8' >"$root/etc/locale.conf"
mkdir -p "$root/var/log/journal"

# Masks units that fail or log errors here, and those that would change the host through the writable /proc/sys and /sys.
for unit in \
	systemd-modules-load.service systemd-sysctl.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
	systemd-udevd.service systemd-udev-trigger.service systemd-journald-audit.socket \
	systemd-networkd.service systemd-networkd-wait-online.service systemd-resolved.service systemd-timesyncd.service \
	console-getty.service getty.target \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
