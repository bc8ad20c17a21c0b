#!/bin/sh
# Become the server, as the user redis. It keeps the promises of the official image's script that NEXUS relies on.

set -eu

# Options alone, or a configuration file, are for redis-server.
case ${1-} in
-* | *.conf) set -- redis-server "$@" ;;
esac

if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
	find . \! -user redis -exec chown redis {} +
	exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
fi

# What it writes is for itself alone, unless the container asked for something else.
if [ "$(umask)" = 0022 ]; then umask 0077; fi

exec "$@"
