# Every script that runs as root begins with this, so that the caller's environment decides neither which programs it runs nor where
# its files go.
# The package's scripts include this file, which needs no other.
# shellcheck shell=bash disable=SC2034 # what one part sets, another reads

# The caller's directory without links, for relative paths on the command line, and PATH, to find cargo.
called_from=$(pwd -P 2>/dev/null || true) callers_path=$PATH

# Resets root's environment. Other users keep theirs.
stand_alone() {
	umask 022
	((EUID == 0)) || return 0
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	unset -v BASH_ENV CDPATH ENV GLOBIGNORE TMPDIR
	# Otherwise programs would load Python modules or configuration files from the caller's directory.
	cd /
}

# from_caller PATH [OPTION]: prints a path of the command line as an absolute path. OPTION is for realpath.
from_caller() {
	case $1 in
	/*) realpath --canonicalize-missing ${2:+"$2"} -- "$1" ;;
	*) realpath --canonicalize-missing ${2:+"$2"} -- "$called_from/$1" ;;
	esac
}
