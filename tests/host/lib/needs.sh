# Installs missing packages on the host with apt-get.
# shellcheck shell=bash

# need_packages PACKAGE=FILE...: installs each package whose file or command is missing.
need_packages() {
	local pair missing=()
	for pair; do
		local package=${pair%%=*} proof=${pair#*=}
		[[ $proof == /* && -e $proof ]] || [[ $proof != /* && -n $(type -P "$proof") ]] || missing+=("$package")
	done
	((${#missing[@]})) || return 0
	[[ -n $(type -P apt-get) ]] ||
		die "missing on this machine: ${missing[*]}; there is no apt-get, so install them and try again"
	say "installing ${missing[*]} with apt-get, because they are missing"
	local log
	log=$(mktemp)
	{
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
	} >"$log" 2>&1 </dev/null || {
		tail -n 15 "$log" >&2
		rm -f "$log"
		die "apt-get could not install ${missing[*]}: its last messages are above; install them by hand and try again"
	}
	rm -f "$log"
}

need_for_boot() {
	need_packages systemd-container=systemd-nspawn util-linux=nsenter
}

need_for_build() {
	need_for_boot
	need_packages mmdebstrap=mmdebstrap curl=curl \
		debian-archive-keyring=/usr/share/keyrings/debian-archive-keyring.gpg
}
