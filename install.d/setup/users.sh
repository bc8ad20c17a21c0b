# Users and directories, as the units' own files describe them.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

make_users_and_directories() {
	# As a unit of its own: killed with this script in the middle of its work, it would leave copies of /etc/shadow behind.
	make_accounts systemd-run --quiet --collect --wait --pipe systemd-sysusers nexus.conf
	systemd-tmpfiles --create nexus.conf
	# Of a package, systemd does that itself.
	if [[ $prefix != /usr ]]; then journalctl --update-catalog; fi
	install -d --mode=0755 /etc/nexus /etc/nexus/postgres
	install -d --mode=0700 "$as_shipped"
	install -d --mode=0700 "$keys"
	# Of a run that was killed while it wrote.
	find /etc/nexus "$as_shipped" "$share" -name '.*.partial.*' -delete
}
