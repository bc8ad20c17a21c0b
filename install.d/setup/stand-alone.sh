# What every script of root's begins with: nothing that surrounds the caller decides which programs it runs, or where its files land.
# The package's scripts have this file in them: it needs no other one.
# shellcheck shell=bash disable=SC2034 # what one part sets, another reads

# What the caller means: paths on the command line begin there, and cargo is found there.
called_from=$PWD callers_path=$PATH

# For anybody but root it is the caller's own business.
stand_alone() {
	umask 022
	((EUID == 0)) || return 0
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	unset -v BASH_ENV CDPATH ENV GLOBIGNORE TMPDIR
	# A module of Python's or a configuration file in the caller's directory would be taken otherwise.
	cd /
}

# from_caller PATH: PATH of the command line, whole.
from_caller() {
	case $1 in
	/*) realpath --canonicalize-missing -- "$1" ;;
	*) realpath --canonicalize-missing -- "$called_from/$1" ;;
	esac
}
