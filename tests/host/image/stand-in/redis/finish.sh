#!/bin/sh
# finish.sh ROOT: makes the directories of the official image, and removes Debian's configuration.

set -eu
install -d -m 755 -o 999 -g 1000 "$1/data"
rm -rf "$1/etc/redis" "$1/var/lib/redis"
