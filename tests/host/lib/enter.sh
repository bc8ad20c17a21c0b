# Runs commands inside a machine, and copies files in and out.
# shellcheck shell=bash

# enter NAME COMMAND...: executes COMMAND as root in the machine and in the machine's own cgroup.
# --default-signal: signals that are ignored here (by nohup, say) are not ignored inside.
# setpriv: if this side is killed (by a timeout, say), the command inside is killed too.
# --no-fork and sh: the process between the two sides must only wait. nsenter itself stops when its child is stopped, as
# at a shutdown, and a machine cannot end while a dead process of it is not waited for.
enter() {
	local name=$1 leader
	shift
	is_up "$name"
	leader=$(leader_of "$name")
	echo "$BASHPID" >"$(cage_path "$name")/payload/init.scope/cgroup.procs"
	# shellcheck disable=SC2016 # expanded inside
	exec nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup --no-fork -- \
		/bin/sh -c '"$@"; exit $?' enter \
		/usr/bin/setpriv --pdeathsig TERM \
		/usr/bin/env -i --default-signal -C /root HOME=/root USER=root LOGNAME=root SHELL=/bin/bash LANG=C.UTF-8 \
		TERM="${TERM:-dumb}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" 8>&- 9>&-
}

is_up() { leader_of "$1" >/dev/null || die "'$1' is not running: start it with 'machine up $1'"; }

# inside NAME COMMAND...: the same as enter, but returns the exit code.
inside() { (enter "$@"); }

exec_machine() {
	local name=$1
	[[ ${2-} == -- && $# -ge 3 ]] || usage_error "expected: exec NAME -- COMMAND..."
	shift 2
	enter "$name" "$@"
}

copy_machine() {
	local name=$1 way=in
	shift
	if [[ ${1-} == --from ]]; then way=out && shift; fi
	[[ $# -eq 2 && $1 && $2 ]] || usage_error "expected: copy NAME [--from] SOURCE DEST"
	"copy_$way" "$name" "$1" "$2"
}

# Both directions use a temporary directory, so that DEST means the same as for `cp -a`. Copied files belong to root
# inside, and to the caller outside.
copy_in() {
	local name=$1 source dest=$3 base
	source=$(realpath -s -- "$2")
	base=$(basename -- "$source")
	is_up "$name"
	[[ -e $source || -L $source ]] || die "cannot copy $2 into '$name': there is no such file here"
	# shellcheck disable=SC2016 # expanded inside
	tar --create --directory="$(dirname -- "$source")" --owner=0 --group=0 --numeric-owner -- "$base" |
		inside "$name" sh -euc '
			part=$(mktemp -d /var/tmp/copy.XXXXXX)
			trap "rm -rf $part" EXIT
			tar --extract --preserve-permissions --directory="$part"
			cp -a -- "$part/$1" "$2"' copy "$base" "$dest" ||
		die "cannot copy $source to $dest in '$name': the cause is above"
}

copy_out() {
	local name=$1 source dest=$3 base part
	is_up "$name"
	source=$(inside "$name" realpath -e -s -- "$2") || die "cannot copy $2 from '$name': the cause is above"
	base=$(basename -- "$source")
	part=$(mktemp -d)
	# shellcheck disable=SC2064 # expand the path now, because part may change
	trap "rm -rf '$part'" EXIT
	inside "$name" tar --create --directory="$(dirname -- "$source")" -- "$base" |
		tar --extract --preserve-permissions --no-same-owner --directory="$part" ||
		die "cannot copy $2 from '$name': the cause is above"
	chown -hR "${SUDO_UID:-0}:${SUDO_GID:-0}" "$part/$base"
	cp -a -- "$part/$base" "$dest" || die "cannot copy $2 from '$name' to $dest: the cause is above"
}
