# Functions for the tests of nexus-health.
# shellcheck shell=bash disable=SC2154 # work is the caller's

settings=/etc/nexus/nexus.env
health=/run/nexus/health/health.json

keep_settings() { cp -a "$settings" "$work/nexus.env"; }
put_back() {
	cp -a "$work/nexus.env" "$settings"
	systemctl restart nexus-health
	rm -rf "$work"
}

# setting NAME=VALUE…: writes them into nexus.env.
setting() {
	local pair
	for pair; do sed -i "s|^${pair%%=*}=.*|$pair|" "$settings"; done
}

restart_health() { systemctl restart nexus-health; }

level_of() { jq --raw-output --arg id "$1" '.findings[] | select(.id == $id) | .level' "$health"; }
is_level() { [[ $(level_of "$1") == "$2" ]]; }

# reported ID: prints the levels of a finding in the journal since the cursor.
reported() {
	journalctl --unit=nexus-health --after-cursor="$cursor" --output=json NEXUS_FINDING="$1" | jq --raw-output .NEXUS_LEVEL | paste -sd' '
}
from_here() {
	cursor=$(journalctl --lines=0 --show-cursor | sed -n 's/^-- cursor: //p')
}
said_since() { journalctl --unit=nexus-health --after-cursor="$cursor" --output=cat; }
mended() { journalctl --unit=nexus-health --after-cursor="$cursor" --output=cat MESSAGE_ID=5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a94; }

# serves postgres|redis: whether a program reaches it over the host's socket.
serves() {
	case $1 in
	postgres) [[ $(timeout 5 bash -c ". '$here/checks.sh'; as_program --command='SELECT 1'") == 1 ]] ;;
	redis) [[ $(timeout 5 bash -c ". '$here/checks.sh'; redis PING") == PONG ]] ;;
	esac
}
