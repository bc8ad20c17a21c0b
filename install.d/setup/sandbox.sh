# Checks whether units on this machine get the sandbox that NEXUS's units need. A host of containers (LXC, Proxmox) may remove it by
# a drop-in for every service; the jobs would then run without their keys, or with a network.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # what one part sets, another reads; the unit's shell expands what is quoted

needed_by_units=(LoadCredential= PrivateNetwork=yes PrivateUsers=yes PrivateTmp=yes PrivateDevices=yes ProtectSystem=strict ProtectProc=invisible
	NoNewPrivileges=yes RestrictNamespaces=yes SystemCallFilter=@system-service)

# Runs inside the unit, and prints what it lacks. $1, $2: the network and the user namespace outside.
within_unit='
cmp -s "$CREDENTIALS_DIRECTORY/probe" /etc/machine-id || echo LoadCredential=
[ "$(readlink /proc/self/ns/net)" != "$1" ] || echo PrivateNetwork=yes
[ "$(readlink /proc/self/ns/user)" != "$2" ] || echo PrivateUsers=yes
grep -qx "NoNewPrivs:.1" /proc/self/status || echo NoNewPrivileges=yes
grep -qx "Seccomp:.2" /proc/self/status || echo SystemCallFilter=@system-service
[ ! -e /dev/kmsg ] || echo PrivateDevices=yes'

# in_a_unit PROPERTY… -- COMMAND…: runs COMMAND as a transient unit of nobody, which gets no descriptor of root's terminal.
in_a_unit() {
	local properties=()
	while [[ $1 != -- ]]; do
		properties+=(--property="$1")
		shift
	done
	timeout 60 systemd-run --quiet --collect --wait --pipe --property=User=nobody "${properties[@]}" "${@:2}" </dev/null
}

check_sandbox() {
	local lacks='' property properties=()
	[[ -d /run/systemd/system ]] || return 0
	if ((EUID != 0)); then
		note "the sandbox of units was not tested" "sudo $program --check"
		return
	fi
	properties=(LoadCredential=probe:/etc/machine-id "${needed_by_units[@]:1}")
	if ! lacks=$(in_a_unit "${properties[@]}" -- sh -c "$within_unit" sh "$(readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/user)" 2>/dev/null); then
		# The unit did not start: find out which property prevents it.
		lacks=''
		for property in "${properties[@]}"; do
			in_a_unit "$property" -- true &>/dev/null || lacks+=${property%%probe:*}$'\n'
		done
		[[ -n $lacks ]] || lacks="all of ${needed_by_units[*]} together"
	fi
	while IFS= read -r property; do
		if [[ -n $property ]]; then missing "$property for units" "$(remedy_for "${property%%=*}")"; fi
	done <<<"$lacks"
}

# remedy_for PROPERTY: prints the remedy, with the drop-in for all services that changes the property.
remedy_for() {
	local file
	file=$(grep -lE "^[[:space:]]*$1[[:space:]]*=" /etc/systemd/system/service.d/*.conf /run/systemd/system/service.d/*.conf /{usr/local,usr}/lib/systemd/system/service.d/*.conf 2>/dev/null | sed -n 1p || true)
	case $file in
	/etc/*) printf 'remove its line %s= from %s, which changes every service; then systemctl daemon-reload' "$1" "$file" ;;
	/*) printf 'let this container have what it needs (Proxmox: features nesting=1), then disable %s, which changes every service: mkdir -p /etc/systemd/system/service.d; ln -s /dev/null /etc/systemd/system/service.d/%s; systemctl daemon-reload' "$file" "${file##*/}" ;;
	*) printf 'a unit with it does not work here (systemd-run --wait -p %s=… true says why); in a container, its host must allow it (Proxmox: features nesting=1)' "$1" ;;
	esac
}
