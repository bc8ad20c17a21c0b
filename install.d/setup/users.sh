# Users and directories, as the units' own files describe them.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

make_users_and_directories() {
	# As a unit of its own: killed with this script in the middle of its work, it would leave copies of /etc/shadow behind.
	make_accounts systemd-run --quiet --collect --wait --pipe systemd-sysusers nexus.conf
	systemd-tmpfiles --create nexus.conf
	# Of a package, systemd does that itself.
	if [[ $prefix != /usr ]]; then journalctl --update-catalog; fi
	install -d --mode=0755 --owner=root --group=root /etc/nexus /etc/nexus/postgres
	install -d --mode=0700 --owner=root --group=root "$as_shipped" "$keys"
	own_state
	# Of a run that was killed while it wrote.
	find /etc/nexus "$as_shipped" "$share" -name '.*.partial.*' -delete
}

# The jobs' own files, which may have been restored as root's. Only directories, and files with one name: no link leads elsewhere.
own_state() {
	local name
	for name in backups proofs alerts health metrics; do
		find "/var/lib/nexus/$name" -xdev \( -type d -o -type f -links 1 \) \( ! -user nexus -o ! -group nexus \) -exec chown --no-dereference nexus:nexus {} +
	done
	own /var/lib/nexus/purge-ledger.jsonl "$(stat --format=%a /var/lib/nexus/purge-ledger.jsonl 2>/dev/null || echo 0600)" nexus:nexus
}
