#!/bin/bash
# machine.sh MIRROR ROOT: creates the machine's disk, without the container images.

set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=debian.sh
. "$here/debian.sh"
mirror=$1 root=$2

# trixie's psql is 17, which cannot read a dump of 18, so this one package and its library come from forky.
# shellcheck disable=SC2016 # $1 is the root, for the hook's shell
from_forky='
mkdir -p "$1/etc/apt/preferences.d" "$1/etc/apt/sources.list.d"
cat >"$1/etc/apt/preferences.d/forky" <<TEXT
Package: *
Pin: release n=forky
Pin-Priority: -1

Package: postgresql-client-18 libpq5
Pin: release n=forky
Pin-Priority: 990
TEXT
echo "deb [signed-by='"$key] $mirror"' forky main" >"$1/etc/apt/sources.list.d/forky.list"'

debian trixie "$mirror" "$root" --variant=apt --include="$(packages "$here/machine.packages")" \
	--setup-hook="$from_forky" --customize-hook="$here/machine-finish.sh \"\$1\""
