#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Tests a power cut in the middle of nexus-upgrade-postgres, in a fresh machine with the package's dependencies:
# upgrade-cut.sh begin backup|restore DEB OLD-POSTGRES     installs the first time, and returns during that step of the upgrade; then the
#        caller cuts the power and boots
# upgrade-cut.sh booted       checks that the old server runs, with every row, and that nothing is stopped
set -euo pipefail
shopt -s inherit_errexit
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/checks.sh"
. "$here/package/load.sh"
. "$here/package/comes.sh"
. "$here/package/postgres.sh"

work=/root/upgrade-cut
mkdir -p "$work"

begun() {
	[[ -s $work/owner.txt ]] || {
		age-keygen -o "$work/owner.txt" 2>/dev/null
		memory_of_old_postgres
	}
	digest >"$work/digest"
	systemd-run --quiet --collect nexus-upgrade-postgres --yes "$new_image"
	await_brief 120 bash -c "$1"
}

booted() {
	await 300 healthy
	await 300 systemctl is-active --quiet nexus-stack.service
	same "clusters of the memory" "$(major_that_runs)" 17
	same "the server of programs" "$(as_program --command='SHOW server_version_num' | cut -c 1-2)" 17
	stored_again booted
	# The next run, whatever its task, removes the unfinished work.
	nexus-upgrade-postgres --yes --finish >/dev/null
	as_before "$(<"$work/digest")"
}

case $1 in
begin)
	deb=$3 old_postgres=$4
	case $2 in
	backup) check begun "$backup_runs" ;;
	restore) check begun "$new_server_runs" ;;
	esac
	;;
booted) check booted ;;
esac
report
