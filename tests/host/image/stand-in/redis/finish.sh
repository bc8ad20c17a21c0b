#!/bin/sh
# finish.sh ROOT: creates the official image's directory and removes Debian's setup.

set -eu
install -d -m 755 -o 999 -g 1000 "$1/data"
rm -rf "$1/etc/redis" "$1/var/lib/redis"
