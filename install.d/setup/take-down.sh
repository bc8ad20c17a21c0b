# take-down.sh metrics|proxy: stops and removes the containers of nexus-metrics or nexus-proxy. `docker compose rm` would go by labels, and
# remove a foreign container whose image brings them.
# shellcheck shell=bash source-path=SCRIPTDIR disable=SC2154 # ours.sh sets the names

set -euo pipefail
here=${BASH_SOURCE[0]%/*}
. "$here/stand-alone.sh"
stand_alone
. "$here/settings-file.sh"
. "$here/printable.sh"
. "$here/accounts.sh"
. "$here/ours.sh"

declare -n names=$1_containers
# docker ps takes a part of a name too; remove_containers reads the whole name.
filters=("${names[@]/#/--filter=name=}")
# Fails if Docker does not reply: then nobody knows whether they run.
docker ps --quiet "${filters[@]}" >/dev/null
remove_containers "${filters[@]}"
