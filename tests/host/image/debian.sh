# debian SUITE MIRROR ROOT [MMDEBSTRAP OPTION...]: installs a minimal Debian in the directory ROOT.
# shellcheck shell=bash

key=/usr/share/keyrings/debian-archive-keyring.gpg

debian() {
	local suite=$1 mirror=$2 root=$3 proxy=
	shift 3
	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	# Ignores Valid-Until: a mirror older than its Release file allows is still good enough for tests.
	mmdebstrap --mode=root \
		--aptopt='Acquire::Check-Valid-Until "false"' ${proxy:+--aptopt="Acquire::http::Proxy \"$proxy\""} \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		"$@" "$suite" "$root" "deb [signed-by=$key] $mirror $suite main"
}

# packages FILE: prints the listed packages, joined with commas. The file has one package per line; '#' starts a comment.
packages() { sed 's/#.*//' "$1" | tr -s '[:space:]' ',' | sed 's/^,//; s/,$//'; }
