# Starts an empty memory in place of a lost one, because compose/postgres/start.sh does not create one by itself. The backups of the
# lost memory stay.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

begin_new_memory() {
	local major
	trap explain_the_end EXIT
	was_set_up || stop 64 "NEXUS is not set up here: run nexus-setup without --new-memory"
	major=$(setting NEXUS_POSTGRES_MAJOR)
	! memory_is_there "$major" || stop 64 "there is a memory of PostgreSQL $major in Docker's volume nexus_postgres_data: nothing was changed"
	[[ $yes == yes ]] || agreed "Begin with an empty memory of PostgreSQL $major? If a lost disk or volume comes back later, NEXUS will not use it." ||
		stop 64 "nothing was changed"
	doing "starting with an empty memory"
	allow_new_memory "$major"
	# Docker still reports the container without data as unhealthy, and waiting for it would fail at once.
	remove_containers --filter 'name=^nexus-postgres$' || true
	systemctl restart nexus-stack.service || explain_stack
	systemctl start nexus.target
	doing ''
	accept_smaller_sets
	say "the memory is empty. To restore a backup of the old one: nexus-restore list; nexus-restore apply latest"
}

# memory_is_there MAJOR: whether the volume holds a cluster of that version.
memory_is_there() {
	local place
	place=$(docker volume inspect --format '{{.Mountpoint}}' nexus_postgres_data 2>/dev/null) && [[ -s $place/$1/docker/PG_VERSION ]]
}

# Otherwise nexus-backup would report that sets of the new memory lack the rows of the old one.
accept_smaller_sets() {
	if [[ -z $(newest_set) ]]; then return; fi
	nexus-backup --accept-smaller || complain "nexus-backup still compares new backups with those of the old memory. Correct the cause (see above), then run nexus-backup --accept-smaller"
}
