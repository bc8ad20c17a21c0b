#!/bin/sh
# users.sh ROOT: the official image's user, before Debian's package makes one of its own.
# Written by hand, because forky's smallest Debian has no useradd.

set -eu
echo 'postgres:x:999:' >>"$1/etc/group"
echo 'postgres:x:999:999::/var/lib/postgresql:/bin/bash' >>"$1/etc/passwd"
echo 'postgres:*:20000::::::' >>"$1/etc/shadow"
# No cluster at installation: the container makes it at its first start.
mkdir -p "$1/etc/postgresql-common"
echo 'create_main_cluster = false' >"$1/etc/postgresql-common/createcluster.conf"
