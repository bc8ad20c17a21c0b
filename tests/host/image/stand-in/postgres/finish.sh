#!/bin/sh
# finish.sh ROOT: the directories, names and locale that the official image has.

set -eu
root=$1
bin=/usr/lib/postgresql/18/bin

install -d -m 1777 -o 999 -g 999 "$root/var/lib/postgresql"
rm -rf "$root"/var/lib/postgresql/*
install -d -m 3777 -o 999 -g 999 "$root/run/postgresql"
install -d -m 755 "$root/docker-entrypoint-initdb.d"

# Debian's psql and the like are Perl programs that choose a version; there is one version here, and no Perl.
for tool in "$root$bin"/*; do
	ln -sf "$bin/${tool##*/}" "$root/usr/bin/${tool##*/}"
done

# Nobody but sockets and the compose file's own -c says where to listen; the official image listens everywhere.
sample=$root/usr/share/postgresql/18/postgresql.conf.sample
sed -i "s/^#listen_addresses = 'localhost'/listen_addresses = '*'/" "$sample"
grep -q "^listen_addresses = '\*'" "$sample"
# Debian's build looks for sockets and statistics where the official one does, so nothing else differs.

chroot "$root" localedef --inputfile=en_US --charmap=UTF-8 --force en_US.UTF-8
