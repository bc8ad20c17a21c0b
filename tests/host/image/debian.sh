# debian SUITE MIRROR ROOT [MMDEBSTRAP OPTION...]: a small Debian in the directory ROOT.
# shellcheck shell=bash

key=/usr/share/keyrings/debian-archive-keyring.gpg

debian() {
	local suite=$1 mirror=$2 root=$3 proxy=
	shift 3
	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	# Valid-Until: a mirror may be behind by more than its Release file allows, and still be good for tests.
	mmdebstrap --mode=root \
		--aptopt='Acquire::Check-Valid-Until "false"' ${proxy:+--aptopt="Acquire::http::Proxy \"$proxy\""} \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		"$@" "$suite" "$root" "deb [signed-by=$key] $mirror $suite main"
}

# packages FILE: what it lists, joined with commas. A line is one package; '#' starts a comment.
packages() { sed 's/#.*//' "$1" | tr -s '[:space:]' ',' | sed 's/^,//; s/,$//'; }
