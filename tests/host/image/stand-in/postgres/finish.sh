#!/bin/sh
# finish.sh ROOT: creates the directories, names and locale of the official image.

set -eu
root=$1
bin=/usr/lib/postgresql/18/bin

install -d -m 1777 -o 999 -g 999 "$root/var/lib/postgresql"
rm -rf "$root"/var/lib/postgresql/*
install -d -m 3777 -o 999 -g 999 "$root/run/postgresql"
install -d -m 755 "$root/docker-entrypoint-initdb.d"

# Debian's psql and similar commands are Perl programs that choose a version; here is one version, and no Perl.
for tool in "$root$bin"/*; do
	ln -sf "$bin/${tool##*/}" "$root/usr/bin/${tool##*/}"
done

# The official image listens everywhere unless the Compose file's -c says otherwise.
sample=$root/usr/share/postgresql/18/postgresql.conf.sample
sed -i "s/^#listen_addresses = 'localhost'/listen_addresses = '*'/" "$sample"
grep -q "^listen_addresses = '\*'" "$sample"
# Debian's build uses the same paths for sockets and statistics as the official one, so nothing else differs.

chroot "$root" localedef --inputfile=en_US --charmap=UTF-8 --force en_US.UTF-8
