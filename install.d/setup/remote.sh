# The way in from other machines: --remote caddy, tailscale, off. All of it is the setting NEXUS_REMOTE; the units do what it says.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

# The person's word goes into the settings, before they are looked at.
choose_remote() {
	if [[ -n $remote ]]; then set_settings "NEXUS_REMOTE=$remote"; fi
	[[ $(setting NEXUS_REMOTE) =~ ^(off|caddy|tailscale)$ ]] ||
		stop 78 "NEXUS_REMOTE=$(setting NEXUS_REMOTE) in $settings: it is caddy, tailscale or off"
	make_remote_token
}

# Where one is needed and there is none: 32 random bytes. One that is there stays.
make_remote_token() {
	local file=$keys/remote_token
	if [[ $(setting NEXUS_REMOTE) == off || -s $file ]]; then return 0; fi
	# With its line's end, so that another one can be put below it.
	head --bytes=32 /dev/urandom | base64 | put "$file" 0600 root:root
	say "the token for other machines is in $file: sudo cat $file"
	# Only then does nexus-api know of it.
	systemctl try-restart nexus-api.service
}

# As NEXUS_REMOTE says now. The memory does not need it: what hinders it is said, and the rest goes on.
switch_remote() {
	local way
	way=$(setting NEXUS_REMOTE)
	# What is not to be goes first: both use the API's socket for other machines.
	if [[ $way != caddy ]]; then systemctl stop nexus-proxy.service; fi
	if [[ $way != tailscale ]]; then systemctl stop nexus-tailscale.service; fi
	case $way in
	# A start that is skipped clears away what an end without order may have left.
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

# Only that, on a machine where NEXUS is set up.
switch_remote_here() {
	trap explain_the_end EXIT
	doing "letting other machines in by $remote"
	choose_remote
	switch_remote
	doing ''
	[[ $remote_failed == no ]] || exit 69
	case $remote in
	off) say "no other machine is let in" ;;
	*) nexus-remote check ;;
	esac
}
