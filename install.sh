#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# Checks, installs, upgrades and removes NEXUS on this machine, or tries it in a throwaway machine.
# This file reads the command line. install.d/ has a file for each step. From the first question on, nexus-setup does the work,
# for a package too.

set -euo pipefail
shopt -s inherit_errexit

# Uses absolute paths, because the caller's PATH still applies here.
clone=$(cd -- "$(/usr/bin/dirname -- "$(/usr/bin/readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)
. "$clone/install.d/setup/stand-alone.sh"
stand_alone
program=./install.sh

usage() {
	cat <<'TEXT'
usage: ./install.sh [COMMAND] [OPTION]...

  (no command)          install NEXUS on this machine, or upgrade it
  --check               list what this machine lacks, each with the command that mends it
  --try                 try NEXUS in a throwaway machine: install, load, back up, wipe, restore, compare
  --uninstall           stop and remove NEXUS; keep databases, backups and keys
  --uninstall --purge   remove databases, backups and keys too
  --help                show this help

  --yes                 ask nothing
  --owner-identity FILE the owner's age identity, the key that opens the backups. If FILE exists, only its public half
                        is read, and FILE need not stay on this machine; otherwise FILE is created
  --model DIR           the model for search by meaning: a folder of sentence-transformers (docs/EMBEDDING.md lists which fit),
                        download (all-MiniLM-L6-v2, 91 MB, English), or none (search by words only). The default is the
                        installed model, else download
  --remote WAY          how other machines reach the memory: caddy, tailscale, or off (docs/REMOTE.md). If NEXUS is
                        installed already, only this changes
  --with-bench          also install nexus-bench, the benchmarks (docs/BENCHMARKS.md); an upgrade keeps it
  --bin-dir DIR         take the helpers' binaries from DIR instead of building them with cargo
  DESTDIR=DIR           only put the files below DIR, for packagers: no root, no users, no services
  PREFIX=DIR            with DESTDIR: the prefix inside it, instead of /usr/local

NEXUS_USER=NAME, in the environment or in /etc/nexus/nexus.env, runs the jobs as that account instead of nexus.

Exit codes are sysexits: 0 done, 64 usage, 69 something is missing, 73 cannot create, 74 input/output,
75 another installation is running, 77 no permission, 78 settings.
TEXT
}

# For packagers: puts the files below DESTDIR, and changes nothing else on this machine.
stage() {
	doing "building the helpers"
	build_helpers
	doing "putting the files below $destdir"
	put_files "$(from_caller "$destdir")" "$to"
}

# Each step skips what is already done, so a second run upgrades, or continues where the first one stopped.
install_here() {
	trap explain_the_end EXIT
	refuse_package
	doing "checking this machine"
	check_machine
	require_owner
	doing "building the helpers"
	build_helpers
	doing "checking what an earlier NEXUS left"
	check_remains
	doing "putting files in their places"
	put_files '' "$prefix"
	doing ''
	# nexus-setup inherits the lock.
	exec "$prefix/sbin/nexus-setup" --after-install "${for_setup[@]}"
}

become_root() {
	((EUID != 0)) || return 0
	# Build before sudo: root should not run cargo, and often has none.
	if [[ $command == install ]] && command -v sudo >/dev/null; then build_helpers; fi
	need_root "$clone/install.sh" "${arguments[@]}" ${bin_dir:+--bin-dir "$bin_dir"}
}

command=install purge=no yes=no with_bench=no owner_identity='' bin_dir='' model='' remote='' destdir=${DESTDIR:-} for_setup=()
arguments=("$@")

. "$clone/install.d/setup/places.sh"
. "$clone/install.d/setup/say.sh"
. "$clone/install.d/setup/settings-file.sh"
. "$clone/install.d/setup/accounts.sh"
. "$clone/install.d/setup/ours.sh"
. "$clone/install.d/setup/check.sh"
. "$clone/install.d/setup/sandbox.sh"
. "$clone/install.d/setup/secrets.sh"
. "$clone/install.d/setup/sizes.sh"
. "$clone/install.d/setup/model.sh"
. "$clone/install.d/setup/jobs-user.sh"
. "$clone/install.d/setup/remove.sh"
. "$clone/install.d/setup/recipients.sh"
. "$clone/install.d/setup/port.sh"
. "$clone/install.d/setup/purge.sh"
. "$clone/install.d/build.sh"
. "$clone/install.d/files.sh"
. "$clone/install.d/uninstall.sh"
. "$clone/install.d/try.sh"
to=$prefix

while (($#)); do
	# --option=value, as the programs take it too.
	[[ $1 != --*=* ]] || set -- "${1%%=*}" "${1#*=}" "${@:2}"
	case $1 in
	--check | --try | --uninstall)
		[[ $command == install ]] || stop 64 "one command at a time, not --$command and $1"
		command=${1#--}
		;;
	--purge) purge=yes ;;
	--with-bench) with_bench=yes ;;
	--yes) yes=yes && for_setup+=(--yes) ;;
	--owner-identity | --bin-dir)
		[[ -n ${2-} ]] || stop 64 "$1 needs a path after it"
		path=$(from_caller "$2")
		if [[ $1 == --bin-dir ]]; then bin_dir=$path; else owner_identity=$path && for_setup+=("$1" "$path"); fi
		shift
		;;
	--model)
		model=$(parse_model "${2-}")
		for_setup+=(--model "$model")
		shift
		;;
	--remote)
		case ${2-} in
		caddy | tailscale | off) remote=$2 for_setup+=(--remote "$2") ;;
		*) stop 64 "--remote needs caddy, tailscale or off after it" ;;
		esac
		shift
		;;
	DESTDIR=?*) destdir=${1#DESTDIR=} ;;
	PREFIX=/?*) to=${1#PREFIX=} ;;
	-h | --help) usage && exit 0 ;;
	*) stop 64 "there is no option '$1': see ./install.sh --help" ;;
	esac
	shift
done
[[ $purge == no || $command == uninstall ]] || stop 64 "--purge goes with --uninstall only"
[[ -z $remote || $command == install && -z $destdir ]] || stop 64 "--remote goes with an installation on this machine only"
[[ -z $destdir || $command == install ]] || stop 64 "DESTDIR goes with an installation only, not with --$command"
[[ $to == "$prefix" || -n $destdir ]] || stop 64 "PREFIX goes with DESTDIR only: on this machine NEXUS is put below $prefix"

if grep --quiet --no-messages '/bin/nexus-bench$' "$list_of_files"; then with_bench=yes; fi

case $command in
check) check_machine ;;
try) try_in_a_machine ;;
uninstall)
	become_root
	lock_installation
	uninstall
	;;
install)
	if [[ -n $destdir ]]; then
		stage
	elif [[ -n $remote && -e $list_of_files ]]; then
		exec "$prefix/sbin/nexus-setup" --remote "$remote"
	else
		require_user
		become_root
		lock_installation
		install_here
	fi
	;;
esac
