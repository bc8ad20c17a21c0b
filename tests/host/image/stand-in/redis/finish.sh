#!/bin/sh
# finish.sh ROOT: the directories that the official image has, and nothing of Debian's own set-up.

set -eu
install -d -m 755 -o 999 -g 1000 "$1/data"
rm -rf "$1/etc/redis" "$1/var/lib/redis"
