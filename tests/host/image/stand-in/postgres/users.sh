#!/bin/sh
# users.sh ROOT: adds the official image's user, before Debian's package adds its own.
# Writes the files directly, because forky's minimal Debian has no useradd.

set -eu
echo 'postgres:x:999:' >>"$1/etc/group"
echo 'postgres:x:999:999::/var/lib/postgresql:/bin/bash' >>"$1/etc/passwd"
echo 'postgres:*:20000::::::' >>"$1/etc/shadow"
# The package creates no cluster: the container does so at its first start.
mkdir -p "$1/etc/postgresql-common"
echo 'create_main_cluster = false' >"$1/etc/postgresql-common/createcluster.conf"
