#!/usr/bin/env bash
# Promise: a malicious set cannot fill the live servers' disk or learn their passwords. Runs inside an installed machine without
# valuable data: Docker's volumes move to a small disk.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"

work=$(mktemp -d)
proofs=$work/proofs
volumes=/var/lib/docker/volumes
# It survives a run: if Docker uses it already, it stays.
image=/var/lib/small-disk
# Larger than a twentieth of this disk: see nexus_docker_client::disk.
reserve=256
# The kernel keeps 15 characters of a process's name.
comm=nexus-restore-t
install -d -m 700 "$proofs"
trap 'end_the_watch; rm -rf "$work"; for name in foreign huge look; do docker exec nexus-postgres dropdb --if-exists --force "$name"; done' EXIT

volumes_on_a_small_disk() {
	local number
	if mountpoint --quiet "$volumes"; then return; fi
	[[ -e /dev/loop-control ]] || mknod /dev/loop-control c 10 237
	for number in {0..31}; do [[ -e /dev/loop$number ]] || mknod "/dev/loop$number" b 7 "$number"; done
	truncate --size=1536M "$image"
	mkfs.ext4 -q -F -m 0 "$image"
	systemctl stop nexus.target nexus-stack.service docker.socket docker.service
	install -d "$work/disk"
	mount -o loop "$image" "$work/disk"
	cp -a "$volumes/." "$work/disk"
	umount "$work/disk"
	mount -o loop "$image" "$volumes"
	start_docker
	systemctl start nexus-stack.service nexus.target
	await 60 healthy
}

# ---- Sets. The code of the second one does no harm in its original database.

make_the_sets() {
	local set
	docker exec nexus-postgres createdb huge
	docker exec nexus-postgres psql -Xq --dbname=huge --command='CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 10) i'
	backup_of huge "$work/huge" >/dev/null 2>&1
	set=$work/huge/$(newest "$work/huge")
	# Encrypted to the same recipients, with matching checksums: its author is unknown.
	head --bytes=8G /dev/zero | zstd -q | age --encrypt --recipients-file /etc/nexus/recipients.txt >"$work/zeros"
	mv "$work/zeros" "$set/data/0001.copy.zst.age"
	(cd "$set" && find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >"$work/sums" && mv "$work/sums" SHA256SUMS)

	docker exec nexus-postgres createdb foreign
	docker exec -i nexus-postgres psql -Xq --set=ON_ERROR_STOP=1 --dbname=foreign <<-'SQL'
		CREATE FUNCTION public.many() RETURNS bigint LANGUAGE sql AS
			$$SELECT CASE current_database() WHEN 'foreign' THEN 1 ELSE 1000000000000 END$$;
		-- About 60 MiB a second at most, so that a slow machine detects it in time too.
		CREATE MATERIALIZED VIEW public.fill AS
			SELECT repeat(md5(i::text), 50) AS x, CASE i % 400 WHEN 0 THEN pg_sleep(0.01)::text END AS paced FROM generate_series(1, public.many()) i;
	SQL
	backup_of foreign "$work/foreign" >/dev/null 2>&1
}

# ---- The live server and its disk, sampled every second

begin_the_watch() {
	: >"$work/free"
	: >"$work/unanswered"
	: >"$work/watched"
	while [[ -e $work/watched ]]; do stat --file-system --format='%a %S' "$volumes" && sleep 0.05; done >>"$work/free" &
	while [[ -e $work/watched ]]; do
		as_program --command="INSERT INTO nexus_memory.zep_episodic_memory (content) VALUES ('foreign')" >/dev/null 2>>"$work/unanswered" || true
		sleep 0.1
	done &
}
end_the_watch() { rm -f "$work/watched" && wait; }

# The throwaway server is ended once the disk is below the reserve, and writes on until then.
nothing_was_missing() {
	local least
	end_the_watch
	same "failed queries of the live server" "$(<"$work/unanswered")" ""
	least=$(awk '{ free = $1 * $2 / 1048576 } NR == 1 || free < least { least = free } END { print int(least) }' "$work/free")
	((least > reserve / 4)) || { echo "at the least $least MiB were free" >&2 && return 1; }
	[[ -z ${1:-} ]] || ((least < reserve + 200)) || { echo "the set did not fill the disk: at the least $least MiB were free" >&2 && return 1; }
}
nothing_is_left() {
	[[ -z $(docker ps --all --quiet --filter label=nexus.scratch) && -z $(docker volume ls --quiet --filter label=nexus.scratch) ]]
	! pgrep --exact "$comm"
}
prove() { NEXUS_PROOFS_DIR=$proofs nexus-restore-test --backup-dir="$work/$1"; }

rows_that_do_not_end_are_not_read() {
	begin_the_watch
	exits 65 'bytes that the manifest says' prove huge
	same "the verdict" "$(jq .proven "$proofs/$(newest "$work/huge" | cut -d- -f1).json")" false
	exits 65 'bytes that the manifest says' nexus-restore apply latest --into look --backup-dir "$work/huge" --identity "$owner"
	nothing_was_missing
	nothing_is_left
}
sql_that_does_not_end_is_ended() {
	rm -f "$proofs"/*
	begin_the_watch
	exits 73 'the throwaway server was killed: its disk has' prove foreign
	nothing_was_missing filled
	nothing_is_left
	# This is no verdict on the set.
	same "proofs" "$(find "$proofs" -name '*.json')" ""
}
sql_in_the_live_server_is_ended() {
	begin_the_watch
	exits 73 'but the live server needs' nexus-restore apply latest --into look --backup-dir "$work/foreign" --identity "$owner"
	nothing_was_missing filled
	same "databases" "$(as_owner --command="SELECT datname FROM pg_database WHERE datname ~ 'look'")" ""
}

# ---- Passwords

# spies SERVER: prints all text that a program inside the throwaway server, or an observer outside, can see.
spies() {
	docker exec --user 1879048999 "nexus-scratch-$1" sh -c 'cat /run/secrets/* /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; true' | tr '\0' '\n'
	docker inspect "nexus-scratch-$1"
}
# seen_outside: prints arguments and environments of this machine's own programs.
seen_outside() { cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' || true; }

# lacks FILE WORDS…: fails if one of them is in the file.
lacks() {
	local file=$1 words
	shift
	for words; do
		if grep -qF -e "$words" "$file"; then echo "$file has what it must not have" >&2 && return 1; fi
	done
}

# Stops a restore test while its throwaway PostgreSQL runs. Once the container exists, the server has all that it needs.
with_postgres() {
	systemctl start --no-block nexus-restore-test
	halted "$(process_of "$comm")" docker container inspect nexus-scratch-postgres
	await 30 serves_postgres
}
serves_postgres() { docker exec --user 1879048999 nexus-scratch-postgres test -s /run/postgresql/.s.PGSQL.5432.lock; }
without_postgres() {
	pkill -CONT --exact "$comm"
	await 120 ended
	same "the result" "$(systemctl show --value --property=Result nexus-restore-test)" success
	nothing_is_left
}
ended() { [[ $(systemctl is-active nexus-restore-test) != activ* ]]; }

# A restore test ends its Redis within half a second, so this requests one from nexus-docker, and keeps it until the input ends.
with_redis() {
	age --decrypt --identity "$owner" "$backups/$(newest)/redis.rdb.zst.age" | zstd -dcq >"$work/rdb"
	{
		printf '{"request":"scratch-redis","bytes":%d,"memory_mib":256}\n' "$(stat --format=%s "$work/rdb")"
		od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
		echo
		cat "$work/rdb"
	} >"$work/request"
	coproc REDIS { runuser --user nexus -- python3 -c '
import socket, sys
asked = socket.socket(socket.AF_UNIX)
asked.connect("/run/nexus/docker.sock")
asked.sendall(open(0, "rb").read())
open(3).read()' 3<&0 <"$work/request"; }
	await 60 serves_redis
}
without_redis() {
	local input=${REDIS[1]} asker=$REDIS_PID
	exec {input}>&-
	wait "$asker"
	await 60 nothing_is_left
}
serves_redis() { docker exec --user 1879048999 nexus-scratch-redis test -S /run/redis/redis.sock; }

# no_password_of_the_live_servers SERVER FILE: fails if the file has a password of the live servers.
no_password_of_the_live_servers() {
	local server=$1 file=/run/secrets/$2 secret own
	# A set has no file for an empty Redis.
	redis SET foreign:key value >/dev/null
	systemctl start nexus-backup
	"with_$server"
	own=$(docker exec --user 1879048999 "nexus-scratch-$server" cat "$file" | grep --only-matching -E '[0-9a-f]{64}')
	spies "$server" >"$work/seen"
	# The control: the search finds what must be there.
	grep -qF "$own" "$work/seen"
	for secret in postgres_password redis_password nexus_app_password; do
		lacks "$work/seen" "$(<"$keys/$secret")" "$(printf %s "$(<"$keys/$secret")" | sha256sum | cut -d' ' -f1)"
	done
	docker inspect "nexus-scratch-$server" >"$work/inspect"
	lacks "$work/inspect" "$own" /etc/nexus/credentials /run/nexus/postgres /run/nexus/redis
	seen_outside >"$work/outside"
	lacks "$work/outside" "$own"
	journalctl --since=-5min --output=cat >"$work/journal"
	lacks "$work/journal" "$own"
	"without_$server"
}
every_run_has_its_own_password() {
	local first
	with_postgres
	first=$(docker exec --user 1879048999 nexus-scratch-postgres cat /run/secrets/postgres_password)
	without_postgres
	with_postgres
	[[ $(docker exec --user 1879048999 nexus-scratch-postgres cat /run/secrets/postgres_password) != "$first" ]]
	without_postgres
}

# ---- Limits that the kernel counts by user, for the whole machine

# Calls inotify_init1(2) until the kernel's limit of one user, in Perl, which both images have.
case $(uname -m) in
x86_64) inotify_init1=294 ;;
aarch64) inotify_init1=26 ;;
esac
# shellcheck disable=SC2016 # Perl's own variables
use_up='$| = 1; my @all; while ((my $fd = syscall(NUMBER, 0)) >= 0) { push @all, $fd } print "used up\n"; <STDIN>'
use_up=${use_up/NUMBER/$inotify_init1}
one_more="exit(syscall($inotify_init1, 0) < 0)"
is_used_up() { [[ $(<"$work/used") == "used up" ]]; }

# The throwaway server shares no user with the live servers, so it cannot exhaust their limits.
live_servers_keep_their_limits() {
	with_postgres
	same "users in the throwaway container" \
		"$(docker top nexus-scratch-postgres -eo pid,uid,comm | awk 'NR > 1 && $3 !~ /init/ && $2 != 65534 { print $2 }' | sort -u)" 1879048999
	mkfifo "$work/end"
	docker exec --interactive --user 1879048999 nexus-scratch-postgres perl -e "$use_up" <"$work/end" >"$work/used" &
	exec {end}>"$work/end"
	await 60 is_used_up
	fails "" docker exec --user 1879048999 nexus-scratch-postgres perl -e "$one_more"
	docker exec nexus-postgres perl -e "$one_more"
	docker exec nexus-redis perl -e "$one_more"
	exec {end}>&-
	wait "$!"
	without_postgres
}

# ---- Files beside the sockets are on this machine's disk, and stay there

the_sockets_directory_fills_nothing() {
	local before
	with_postgres
	before=$(stat --file-system --format=%a /run)
	same "its size in bytes" "$(findmnt --noheadings --bytes --output SIZE /run/nexus/scratch | tr -d ' ')" 1048576
	docker exec --user 1879048999 nexus-scratch-postgres sh -c 'mkdir -p /run/postgresql/a/b; chmod 0 /run/postgresql/a; dd if=/dev/zero of=/run/postgresql/x; true' 2>/dev/null
	same "blocks that /run has lost" "$((before - $(stat --file-system --format=%a /run) > 100))" 0
	without_postgres
	# Its leftovers do not prevent the next start.
	systemctl start nexus-restore-test
	same "left beside the sockets" "$(find /run/nexus/scratch -name a)" ""
}

volumes_on_a_small_disk
make_the_sets
check rows_that_do_not_end_are_not_read
check sql_that_does_not_end_is_ended
check no_password_of_the_live_servers postgres postgres_password
check no_password_of_the_live_servers redis redis_acl
check every_run_has_its_own_password
check live_servers_keep_their_limits
check the_sockets_directory_fills_nothing
# The last check, because its log takes up room for some time.
check sql_in_the_live_server_is_ended
report
