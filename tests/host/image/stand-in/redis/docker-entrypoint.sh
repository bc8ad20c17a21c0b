#!/bin/sh
# Executes the server as the user redis. Behaves like the official image's script where NEXUS relies on it.

set -eu

# Options alone, or a configuration file, are for redis-server.
case ${1-} in
-* | *.conf) set -- redis-server "$@" ;;
esac

if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
	find . \! -user redis -exec chown redis {} +
	exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
fi

# Only redis can read what it writes, unless the container has set a umask.
if [ "$(umask)" = 0022 ]; then umask 0077; fi

exec "$@"
