#!/bin/sh
# users.sh ROOT: adds the official image's user, before Debian's package adds its own.
# Writes the files directly, because forky's minimal Debian has no useradd.

set -eu
echo 'redis:x:1000:' >>"$1/etc/group"
echo 'redis:x:999:1000::/data:/bin/sh' >>"$1/etc/passwd"
echo 'redis:*:20000::::::' >>"$1/etc/shadow"
