# Every script that runs as root begins with this: the caller's environment does not decide which programs it runs, or where its
# files go.
# The package's scripts include this file: it needs no other one.
# shellcheck shell=bash disable=SC2034 # what one part sets, another reads

# The caller's directory and PATH: relative paths on the command line start there, and cargo is found there.
called_from=$PWD callers_path=$PATH

# Other users keep their environment.
stand_alone() {
	umask 022
	((EUID == 0)) || return 0
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	unset -v BASH_ENV CDPATH ENV GLOBIGNORE TMPDIR
	# Otherwise programs would load Python modules or configuration files from the caller's directory.
	cd /
}

# from_caller PATH: prints the absolute path of PATH on the command line.
from_caller() {
	case $1 in
	/*) realpath --canonicalize-missing -- "$1" ;;
	*) realpath --canonicalize-missing -- "$called_from/$1" ;;
	esac
}
