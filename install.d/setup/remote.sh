# Switches the access from other machines: --remote caddy, tailscale, off. This sets NEXUS_REMOTE, and the units follow that.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

# Writes --remote into the settings, then checks them.
choose_remote() {
	if [[ -n $remote ]]; then set_settings "NEXUS_REMOTE=$remote"; fi
	[[ $(setting NEXUS_REMOTE) =~ ^(off|caddy|tailscale)$ ]] ||
		stop 78 "NEXUS_REMOTE=$(setting NEXUS_REMOTE) in $settings: it is caddy, tailscale or off"
	make_remote_token
}

# Creates a token of 32 random bytes if one is needed and missing.
make_remote_token() {
	local file=$keys/remote_token
	if [[ $(setting NEXUS_REMOTE) == off || -s $file ]]; then return 0; fi
	# base64 ends it with a line feed, so that another token can follow.
	head --bytes=32 /dev/urandom | base64 | put "$file" 0600 root:root
	say "the token for other machines is in $file: sudo cat $file"
	# nexus-api reads it when it starts.
	systemctl try-restart nexus-api.service
}

# Follows NEXUS_REMOTE. The memory does not need this, so it reports a failure and goes on.
switch_remote() {
	local way
	way=$(setting NEXUS_REMOTE)
	# Stop the other one first: both use the API's socket for other machines.
	if [[ $way != caddy ]]; then systemctl stop nexus-proxy.service; fi
	if [[ $way != tailscale ]]; then systemctl stop nexus-tailscale.service; fi
	case $way in
	# With off this start is skipped, but it clears what an unclean end may have left.
	off) systemctl start nexus-proxy.service || complain "see: systemctl status nexus-proxy" ;;
	caddy) start_remote nexus-proxy ;;
	tailscale) start_remote nexus-tailscale ;;
	esac
	systemctl start --no-block nexus-remote-note.service
}

start_remote() {
	wait_for_unit 35 reload-or-restart "$1.service" && return
	journalctl --unit="$1.service" --lines=10 --no-pager --output=cat | quoted
	complain "other machines are not let in (above); systemd tries again every minute: systemctl status $1"
	remote_failed=yes
}

# Changes only the access, on a machine where NEXUS is set up.
switch_remote_here() {
	trap explain_the_end EXIT
	doing "switching the access from other machines to $remote"
	choose_remote
	switch_remote
	doing ''
	[[ $remote_failed == no ]] || exit 69
	case $remote in
	off) say "no other machine has access" ;;
	*) nexus-remote check ;;
	esac
}
