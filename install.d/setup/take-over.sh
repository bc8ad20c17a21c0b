# take-over.sh memory|metrics|proxy: runs before `docker compose up` of nexus-stack, nexus-metrics and nexus-proxy. Does not touch
# containers and volumes of others. For the memory, creates the volumes, and removes containers of NEXUS's former Compose project,
# because those of the present one use the same names and volumes.
# shellcheck shell=bash source-path=SCRIPTDIR

set -euo pipefail
here=${BASH_SOURCE[0]%/*}
. "$here/stand-alone.sh"
stand_alone
. "$here/settings-file.sh"
. "$here/printable.sh"
. "$here/accounts.sh"
. "$here/ours.sh"

owners=()
if [[ $1 == memory ]]; then
	services=$(docker compose config --services)
	mapfile -t owners < <(grep -vxE 'postgres|redis' <<<"$services")
fi
# This message goes to the unit's journal; nexus-setup refuses in the same case.
refused_settings /etc/nexus/nexus.env >&2
if refusal=$(docker_refusal "$1" "${owners[@]}") && [[ -n $refusal ]]; then
	echo "$refusal" >&2
	exit 69
fi
[[ $1 == memory ]] || exit 0
for volume in "${memory_volumes[@]}"; do
	volume_exists "$volume" || docker volume create --label "$label_of_volumes" "$volume" >/dev/null
done
former=(--filter label=com.docker.compose.project=nexus)
if [[ -n $(ids_of_nexus "${former[@]}") ]]; then
	# Fetch the images first: without them there would be no servers at all.
	docker compose pull --quiet --policy missing
	echo "the containers of the Compose project nexus become those of $COMPOSE_PROJECT_NAME; their volumes stay"
	remove_containers "${former[@]}"
fi
