#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Checks, installs, upgrades and removes NEXUS on this machine, or tries all of it in a throwaway one.
# This file reads the command line; the work is in install.d/, one file a step.

set -euo pipefail
shopt -s inherit_errexit
umask 022

clone=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)

usage() {
	cat <<'TEXT'
usage: ./install.sh [COMMAND] [OPTION]...

  (no command)          install NEXUS on this machine, or upgrade the one that is there
  --check               say what this machine lacks, a line each, with the command that mends it
  --try                 the whole of it in a throwaway machine: install, load, back up, wipe, restore, compare
  --uninstall           stop and remove NEXUS; databases, backups and keys stay
  --uninstall --purge   and databases, backups and keys go too
  --help                this

  --yes                 ask nothing
  --owner-identity FILE the owner's age identity, the key that opens the backups: made in FILE, or, where FILE
                        exists, taken from it (only its public half; FILE is not needed on this machine)
  --model DIR           the model that finds by meaning: a folder of sentence-transformers (docs/EMBEDDING.md says which fit);
                        download: all-MiniLM-L6-v2, 91 MB, English; none: find by words alone. Without this, the one
                        that is there, or download
  --remote WAY          how other machines reach the memory: caddy, tailscale, or off (docs/REMOTE.md). Where NEXUS is
                        installed already, this and nothing else is done
  --bin-dir DIR         take the helpers' binaries from DIR instead of building them with cargo
  DESTDIR=DIR           only put the files below DIR, for packagers: no root, no users, no services

Exit codes are sysexits: 0 done, 64 usage, 69 something is missing, 73 cannot create, 74 input/output,
75 another one is at work, 77 no permission, 78 settings.
TEXT
}

# For packagers: everything below DESTDIR, and nothing on this machine.
stage() {
	doing "building the helpers"
	build_helpers
	doing "putting the files below $destdir"
	put_files "$(realpath -m -- "$destdir")"
}

# Each step does nothing where nothing is to be done, so a second run upgrades, or goes on where the first one stopped.
install_here() {
	trap explain_the_end EXIT
	doing "checking this machine"
	check_machine
	doing "building the helpers"
	build_helpers
	doing "checking what an earlier NEXUS left"
	check_remains
	doing "asking who the owner is"
	choose_owner
	doing "putting files in their places"
	put_files ''
	make_users_and_directories
	doing "making the secrets"
	make_secrets
	write_recipients
	doing "writing the settings"
	write_settings
	choose_remote
	doing "taking the model"
	install_model
	doing "starting the servers"
	start_services
	doing "taking the first backup"
	take_first_backup
	doing ''
	say_what_is_next
}

command=install purge=no yes=no owner_identity='' bin_dir='' model='' remote='' remote_failed=no destdir=${DESTDIR:-}
arguments=("$@")

. "$clone/install.d/say.sh"
. "$clone/install.d/check.sh"
. "$clone/install.d/build.sh"
. "$clone/install.d/files.sh"
. "$clone/install.d/secrets.sh"
. "$clone/install.d/sizes.sh"
. "$clone/install.d/settings.sh"
. "$clone/install.d/model.sh"
. "$clone/install.d/remote.sh"
. "$clone/install.d/services.sh"
. "$clone/install.d/uninstall.sh"
. "$clone/install.d/try.sh"

while (($#)); do
	case $1 in
	--check | --try | --uninstall)
		[[ $command == install ]] || stop 64 "one command at a time, not --$command and $1"
		command=${1#--}
		;;
	--purge) purge=yes ;;
	--yes) yes=yes ;;
	--owner-identity | --bin-dir)
		[[ -n ${2-} ]] || stop 64 "$1 needs a path after it"
		path=$(realpath -m -- "$2")
		if [[ $1 == --bin-dir ]]; then bin_dir=$path; else owner_identity=$path; fi
		shift
		;;
	--model)
		case ${2-} in
		'') stop 64 "--model needs a folder after it, or download, or none" ;;
		download | none) model=$2 ;;
		*)
			model=$(realpath -m -- "$2")
			[[ -d $model ]] || stop 64 "--model $2: there is no such folder"
			;;
		esac
		shift
		;;
	--remote)
		case ${2-} in
		caddy | tailscale | off) remote=$2 ;;
		*) stop 64 "--remote needs caddy, tailscale or off after it" ;;
		esac
		shift
		;;
	DESTDIR=?*) destdir=${1#DESTDIR=} ;;
	-h | --help) usage && exit 0 ;;
	*) stop 64 "there is no option '$1': see ./install.sh --help" ;;
	esac
	shift
done
[[ $purge == no || $command == uninstall ]] || stop 64 "--purge goes with --uninstall only"
[[ -z $remote || $command == install && -z $destdir ]] || stop 64 "--remote goes with an installation on this machine only"
[[ -z $destdir || $command == install ]] || stop 64 "DESTDIR goes with an installation only, not with --$command"

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
	else
		become_root
		lock_installation
		if [[ -n $remote && -e $list_of_files ]]; then switch_remote_here; else install_here; fi
	fi
	;;
esac
