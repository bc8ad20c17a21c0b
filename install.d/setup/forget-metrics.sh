# Removes the recorded metrics when the owner switches metrics off. A volume of that name that is not NEXUS's stays.
# shellcheck shell=bash source-path=SCRIPTDIR

set -euo pipefail
here=${BASH_SOURCE[0]%/*}
. "$here/stand-alone.sh"
stand_alone
. "$here/settings-file.sh"
. "$here/printable.sh"
. "$here/accounts.sh"
. "$here/ours.sh"

for volume in "${metrics_volumes[@]}"; do
	if volume_exists "$volume" && volume_is_ours "$volume"; then remove_volumes "$volume"; fi
done
