#!/bin/sh
# Becomes the server, as the user redis. This script does what NEXUS needs of the official image's script.

set -eu

# If the first word is an option or a configuration file, the command is redis-server.
case ${1-} in
-* | *.conf) set -- redis-server "$@" ;;
esac

if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
	find . \! -user redis -exec chown redis {} +
	exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
fi

# Makes new files readable only for redis, unless the container set another umask.
if [ "$(umask)" = 0022 ]; then umask 0077; fi

exec "$@"
