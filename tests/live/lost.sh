#!/usr/bin/env bash
# NEXUS must not mistake a loss for a new start: an unmounted backup disk, a lost volume, an emptied memory. Runs inside an installed
# machine without valuable data. Judges the full sets only with ls and sha256sum. Takes some minutes.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"

work=$(mktemp -d)
# A new one each time, because the machine remembers it.
disk=/mnt/backups-of-the-test-$$
episodes=nexus_memory.zep_episodic_memory
settings=/etc/nexus/nexus.env
trap 'umount -q "$disk" || true; rm -rf "$work"' EXIT

# The number that is counted below, whatever an earlier run has left.
fill() {
	as_owner --command="DELETE FROM $episodes" --command="INSERT INTO $episodes (content) SELECT 'lost: ' || i || repeat(md5(i::text), 3) FROM generate_series(1, 3000) i"
}
rows() { as_owner --command="SELECT count(*) FROM $episodes"; }

# Prints the names of sets, and a digest of each of their files.
digests() { (cd "$1" && find . -mindepth 2 -type f -not -path './.*' -exec sha256sum {} + | sort -k 2); }
proofs() { (cd /var/lib/nexus/proofs && find . -name '*.json' -exec sha256sum {} + | sort -k 2); }

# level_of ID: prints the level of that finding of nexus-health.
level_of() { { nexus-health --json || true; } | jq --raw-output --arg id "$1" '.findings[] | select(.id == $id) | .level'; }

# ---- The disk of the backups is not mounted

backup_dir_is() {
	sed -i "s|^NEXUS_BACKUP_DIR=.*|NEXUS_BACKUP_DIR=$1|" "$settings"
	nexus-setup --yes --model none >"$work/setup"
}

sets_go_to_a_disk_and_the_numbers_go_on() {
	local last
	systemctl start nexus-backup
	last=$((10#$(newest | cut -d- -f1)))
	install -d -m 700 -o nexus -g nexus "$work/disk" "$disk"
	chmod 755 "$work"
	mount --bind "$work/disk" "$disk"
	# There is no earlier set, so the directory is accepted.
	backup_dir_is "$disk"
	same "the number of the first set there" "$((10#$(newest "$disk" | cut -d- -f1)))" $((last + 1))
	grep -qx "RequiresMountsFor=$disk /var/lib/nexus/proofs" /etc/systemd/system/nexus-backup.service.d/10-nexus-places.conf
	# It must run to report that the disk is missing.
	same "the mounts of nexus-health" "$(systemctl show --property=RequiresMountsFor --value nexus-health | found "$disk" && echo the disk)" ""
	systemctl start nexus-restore-test
	same "the finding" "$(level_of backup-directory)" ok
}

nothing_is_written_where_the_disk_is_not_mounted() {
	local said
	digests "$disk" >"$work/before"
	proofs >"$work/proofs-before"
	umount "$disk"
	said="is not the directory that set $(newest "$work/disk") was written to"
	systemctl start nexus-backup && return 1
	journalctl --unit=nexus-backup --lines=5 --output=cat | found -F "$said"
	same "the exit code of the unit" "$(systemctl show --property=ExecMainStatus --value nexus-backup)" 78
	exits 78 "$said" nexus-backup
	exits 78 "$said" nexus-backup --dry-run
	exits 78 "$said" nexus-backup --rotate-only
	exits 78 "$said" nexus-backup --accept-smaller
	exits 78 "$said" nexus-restore-test
	exits 78 "$said" nexus-restore-test latest
	exits 78 "$said" nexus-purge --expunge --yes
	same "the content of the mount point" "$(ls -A "$disk")" ""
	same "the finding" "$(level_of backup-directory)" critical
	mount --bind "$work/disk" "$disk"
	same "the sets" "$(digests "$disk")" "$(cat "$work/before")"
	same "the proofs" "$(proofs)" "$(cat "$work/proofs-before")"
	systemctl start nexus-backup
	same "numbers that were used twice" "$(sets "$disk" | cut -d- -f1 | uniq --repeated)" ""
	same "the finding" "$(level_of backup-directory)" ok
}

a_person_can_mean_a_new_directory() {
	local last
	last=$((10#$(newest "$disk" | cut -d- -f1)))
	umount "$disk"
	nexus-backup --new-directory
	same "the set there" "$((10#$(newest "$disk" | cut -d- -f1)))" $((last + 1))
	same "its owner" "$(stat -c %U "$disk/$(newest "$disk")")" nexus
	systemctl start nexus-backup
	# The former disk is now the wrong one.
	mount --bind "$work/disk" "$disk"
	exits 78 'Is its disk mounted?' nexus-backup
	umount "$disk"
	backup_dir_is "$backups"
	rm -rf "${disk:?}"/[0-9]*
	systemctl start nexus-backup
	same "the number of the next" "$((10#$(newest | cut -d- -f1)))" $((last + 3))
}

# ---- The volume is gone

lose_the_volume() {
	systemctl stop nexus.target nexus-stack
	docker rm nexus-postgres >/dev/null
	docker volume rm nexus_postgres_data >/dev/null
}

no_empty_memory_takes_the_place_of_a_lost_one() {
	[[ -e /etc/nexus/postgres/memory-made ]]
	lose_the_volume
	systemctl start --no-block nexus.target nexus-stack
	await 60 says_that_it_is_lost
	same "the content of the volume" "$(ls -A "$(docker volume inspect --format '{{.Mountpoint}}' nexus_postgres_data)")" ""
	same "nexus-health's findings" "$(level_of postgres)" critical
}
says_that_it_is_lost() { docker logs nexus-postgres 2>&1 | found 'refusing to create an empty memory: this machine has had one'; }

# Runs start.sh in the server's image, with a program that reports another version, as if the owner had changed setting and image
# beside a full cluster.
another_major_is_no_new_memory() {
	local said
	install -d "$work/bin" "$work/etc" "$work/volume/18/docker"
	printf '#!/bin/sh\necho "postgres (PostgreSQL) 19.1"\n' >"$work/bin/postgres"
	chmod 755 "$work/bin/postgres"
	echo 18 >"$work/volume/18/docker/PG_VERSION"
	chown -R 999:999 "$work/volume"
	said=$(start_19) && return 1
	[[ $said == *'NEXUS_POSTGRES_MAJOR is 19, but the memory was made with PostgreSQL 18'* ]] || { printf '%s\n' "$said" >&2 && return 1; }
	same "clusters" "$(ls "$work/volume")" 18
	# nexus-upgrade-postgres writes this file.
	echo 19 >"$work/etc/new-memory"
	# shellcheck disable=SC2016 # the program's own
	printf '#!/bin/sh\nmkdir -p "${1#--pgdata=}" && echo 19 >"${1#--pgdata=}/PG_VERSION"\n' >"$work/bin/initdb"
	chmod 755 "$work/bin/initdb"
	start_19
	same "the new cluster" "$(cat "$work/volume/19/docker/PG_VERSION")" 19
	same "the old cluster" "$(cat "$work/volume/18/docker/PG_VERSION")" 18
}
start_19() {
	docker run --rm --network none --user 999:999 --entrypoint bash --env PGDATA=/var/lib/postgresql/19/docker --env PATH=/fake:/usr/local/bin:/usr/bin:/bin \
		--volume "$work/bin:/fake:ro" --volume "$work/etc:/etc/postgresql:ro" --volume "$work/volume:/var/lib/postgresql" \
		--volume /usr/local/share/nexus/compose/postgres:/nexus:ro "$(docker inspect --format '{{.Config.Image}}' nexus-postgres)" /nexus/start.sh true 2>&1
}

a_person_can_begin_with_an_empty_memory_and_restore() {
	local full
	full=$(newest)
	nexus-setup --new-memory --yes >"$work/said"
	await 60 healthy
	same "episodes" "$(rows)" 0
	[[ -e /etc/nexus/postgres/memory-made && ! -e /etc/nexus/postgres/new-memory ]]
	exits 64 'nothing was changed' nexus-setup --new-memory --yes
	systemctl start nexus-backup
	same "the level after acceptance" "$(level_of backup-rows)" ok
	nexus-restore apply "${full%%-*}" --identity "$owner" --yes >"$work/said" 2>&1
	same "episodes" "$(rows)" 3000
	systemctl reload nexus-stack
	systemctl start nexus-backup
}

# ---- The memory is emptied, and the owner does not notice for three weeks

twenty_nights_remove_no_set_that_holds_it() {
	local full night
	systemctl start nexus-restore-test
	full=$(newest)
	same "its proof" "$(jq .proven "/var/lib/nexus/proofs/${full%%-*}.json")" true
	(cd "$backups/$full" && find . -type f -exec sha256sum {} + | sort -k 2) >"$work/full"
	# Gives --expunge a reason to remove the set.
	nexus-purge --episode "$(as_owner --command="SELECT episode_id FROM $episodes LIMIT 1")" --yes >"$work/said" 2>&1
	# As with another Docker context, or a version of NEXUS that left no mark.
	lose_the_volume
	rm /etc/nexus/postgres/memory-made
	systemctl start nexus-stack nexus.target
	same "episodes" "$(rows)" 0
	same "the living memory" "$(level_of memory-rows)" critical
	systemctl start nexus-backup nexus-restore-test
	same "the proof of the empty set" "$(jq .proven "/var/lib/nexus/proofs/$(newest | cut -d- -f1).json")" true
	for night in $(seq 20); do faketime "+$night days" nexus-backup; done
	same "the full set after twenty nights" "$(cd "$backups/$full" && find . -type f -exec sha256sum {} + | sort -k 2)" "$(cat "$work/full")"
	(cd "$backups/$full" && sha256sum --quiet --check SHA256SUMS)
	# Rotation removes empty sets, so that the disk does not fill.
	(($(sets | wc -l) < 25))
	same "the level of the finding" "$(level_of backup-rows)" critical
	# After those nights: a set whose date is in the future counts as one that holds what was forgotten.
	exits 75 'but set' faketime '+21 days' nexus-purge --expunge --yes
	journalctl MESSAGE_ID=5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a6e --lines=1 --output=cat | found 'nexus-backup --accept-smaller'
}

dates_in_the_future_are_reported() {
	same "the date of the newest" "$(level_of backup-clock)" warning
}

the_rows_come_back_and_all_is_well() {
	local full
	# The first set with rows: its number is in the message.
	full=$({ nexus-health --json || true; } | jq --raw-output '.findings[] | select(.id == "backup-rows") | .advice' | grep -oE 'apply [0-9]+' | cut -d' ' -f2)
	nexus-restore apply "$full" --identity "$owner" --yes >"$work/said" 2>&1
	# All except the forgotten one.
	same "episodes" "$(rows)" 2999
	systemctl reload nexus-stack
	systemctl start nexus-backup
	same "the finding about the sets" "$(level_of backup-rows)" ok
	same "the finding about the memory" "$(level_of memory-rows)" ok
}

a_smaller_memory_can_be_meant() {
	as_owner --command="DELETE FROM $episodes WHERE episode_id IN (SELECT episode_id FROM $episodes LIMIT 2000)"
	nexus-backup
	same "the level of the finding" "$(level_of backup-rows)" critical
	nexus-backup --accept-smaller | found 'is the reference now'
	same "the level of the finding" "$(level_of backup-rows)" ok
	nexus-backup
	same "the findings after the next one" "$(level_of backup-rows)" ok
}

fill
check sets_go_to_a_disk_and_the_numbers_go_on
check nothing_is_written_where_the_disk_is_not_mounted
check a_person_can_mean_a_new_directory
check no_empty_memory_takes_the_place_of_a_lost_one
check another_major_is_no_new_memory
check a_person_can_begin_with_an_empty_memory_and_restore
check twenty_nights_remove_no_set_that_holds_it
check dates_in_the_future_are_reported
check the_rows_come_back_and_all_is_well
check a_smaller_memory_can_be_meant
report
