#!/usr/bin/env bash
# install.sh, in a fresh machine with Docker and no NEXUS: what it refuses, what a broken run leaves, that a second run
# changes nothing, what an upgrade keeps, and what removal removes. Needs the helpers in bin/ beside install.sh.
# Ends with NEXUS removed and purged.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

clone=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
owner=/root/owner-of-the-test.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

install_now() { "$clone/install.sh" --bin-dir "${bin:-$clone/bin}" --yes --owner-identity "$owner"; }

# exits CODE WORDS COMMAND…
exits() {
	local code=$1 words=$2 said status=0
	shift 2
	said=$("$@" 2>&1 </dev/null) || status=$?
	same "the exit code of $* ($said)" "$status" "$code"
	[[ $said == *"$words"* ]] || { printf '"%s" said "%s" and not "%s"\n' "$*" "$said" "$words" >&2 && return 1; }
}

wrong_usage() {
	exits 64 "there is no option '--foo'" "$clone/install.sh" --foo
	exits 64 "--purge goes with --uninstall" "$clone/install.sh" --purge
	exits 64 "one command at a time" "$clone/install.sh" --check --uninstall
	exits 64 "--bin-dir needs a path" "$clone/install.sh" --bin-dir
	exits 69 "no program nexus-" "$clone/install.sh" --yes --bin-dir "$work" --owner-identity "$owner"
	exits 64 "an owner must be chosen" "$clone/install.sh" --yes --bin-dir "$clone/bin"
	nothing_is_left
}

# with_hidden FILE COMMAND…: FILE is not there meanwhile.
with_hidden() {
	local file=$1 status=0
	shift
	mv "$file" "$file.hidden"
	"$@" || status=$?
	mv "$file.hidden" "$file"
	return "$status"
}

check_names_what_is_missing() {
	exits 0 "nothing is missing" "$clone/install.sh" --check --bin-dir "$clone/bin"
	with_hidden "$(command -v age-keygen)" exits 69 "missing  age-keygen: apt-get install age" "$clone/install.sh" --check --bin-dir "$clone/bin"
	with_hidden "$(command -v docker)" exits 69 "apt-get install docker.io" "$clone/install.sh" --check --bin-dir "$clone/bin"
	exits 69 "missing  cargo" "$clone/install.sh" --check
	systemctl stop docker.socket docker.service
	exits 69 "missing  a running Docker daemon: systemctl enable --now docker" "$clone/install.sh" --check --bin-dir "$clone/bin"
	systemctl start docker
}

# As nobody, and by the files alone.
packagers_get_files() {
	local stage=$work/stage
	install -d -o nobody "$stage"
	cp -a "$clone" "$work/clone"
	chmod -R a+rX "$work"
	DESTDIR=$stage setpriv --reuid=nobody --clear-groups "$work/clone/install.sh" --bin-dir "$work/clone/bin" >/dev/null
	test -x "$stage/usr/local/bin/nexus-backup"
	test -f "$stage/usr/local/lib/systemd/system/nexus-backup.timer"
	test -f "$stage/usr/local/share/nexus/compose/docker-compose.yml"
	nothing_is_left
}

not_without_root() { exits 77 "needs root" with_hidden "$(command -v sudo)" setpriv --reuid=nobody --clear-groups "$work/clone/install.sh" --bin-dir "$work/clone/bin"; }

# A person with sudo and cargo (a stand-in that only copies): built as them, installed as root.
person_with_sudo() {
	local home=/home/person how
	useradd --create-home --shell /bin/bash person
	echo 'person ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/person
	cp -a "$clone" "$home/nexus"
	install -d "$home/.cargo/bin"
	printf '#!/bin/sh\nset -e\nid -un >>%s/built-as\nmkdir -p target/release\ncp bin/* target/release\n' "$home" >"$home/.cargo/bin/cargo"
	chmod +x "$home/.cargo/bin/cargo"
	chown -R person: "$home"
	for how in '' sudo; do
		exits 0 "NEXUS runs" env --chdir="$home/nexus" HOME="$home" runuser --user person -- ${how:+"$how"} ./install.sh --yes --owner-identity "$home/owner.txt"
		same "who built it" "$(sort -u "$home/built-as")" person
		same "whose the key is" "$(stat --format='%U %a' "$home/owner.txt")" "person 600"
		"$clone/install.sh" --uninstall --purge --yes >/dev/null
		rm -rf "$home"/{built-as,owner.txt,nexus/target}
	done
	userdel --remove person 2>&1
	rm /etc/sudoers.d/person
	nothing_is_left
}

# Every way to fail is mended by removing its cause and running the same command again.
failures_can_be_repeated() {
	# The image cannot be had.
	docker tag redis:8.0.6-alpine keep:redis
	docker rmi redis:8.0.6-alpine >/dev/null
	exits 69 "run ./install.sh again" install_now
	docker tag keep:redis redis:8.0.6-alpine
	# The first backup fails.
	cp -a "$clone/bin" "$work/bin"
	printf '#!/bin/sh\necho "nexus-backup: made to fail" >&2\nexit 74\n' >"$work/bin/nexus-backup"
	bin=$work/bin exits 74 "nexus-backup: made to fail" install_now
	systemctl reset-failed
	exits 0 "NEXUS runs" install_now
	docker rmi keep:redis >/dev/null
}

# Killed after N tenths of a second, for many N, on a machine without NEXUS each time; then it must go through.
cut_short() {
	local tenths
	for tenths in 3 8 13 18 25 33 45; do
		"$clone/install.sh" --uninstall --purge --yes >/dev/null 2>&1
		timeout --signal=KILL "$((tenths / 10)).$((tenths % 10))" "$clone/install.sh" --bin-dir "$clone/bin" --yes --owner-identity "$owner" >/dev/null 2>&1 || true
		exits 0 "NEXUS runs" install_now
		healthy
		as_program --command='SELECT 1' >/dev/null
		same "half-written files" "$(find /etc/nexus /usr/local /var/lib/nexus -name '*.partial.*')" ""
	done
}

# The power goes while PostgreSQL makes its first cluster: it begins anew, and no half of one is ever taken for a whole.
first_start_cut_short() {
	local after pids installing
	for after in 0 0.3 0.6 1 1.5; do
		"$clone/install.sh" --uninstall --purge --yes >/dev/null 2>&1
		install_now >"$work/said" 2>&1 &
		installing=$!
		await 30 docker top nexus-postgres
		sleep "$after" # the moment of the cut is what is varied here
		mapfile -t pids < <(docker top nexus-postgres -eo pid | tail -n +2)
		kill -KILL "${pids[@]}"
		wait "$installing" || { tail -n 5 "$work/said" >&2 && return 1; }
		healthy
		as_program --command='SELECT 1' >/dev/null
	done
}

one_at_a_time() { exits 75 "another install.sh is at work" flock /run/lock/nexus-install "$clone/install.sh" --uninstall; }

# settings_for MEMORY CPUS: what would be written for a machine of that size.
settings_for() (
	# shellcheck source=/dev/null
	. "$clone/install.d/sizes.sh"
	sizes_for "$1" "$2" yes
)
sizes_fit_the_machine() {
	local machine cpus settings sum
	for machine in 950 2000 4000 8000 16000 64000 512000; do
		for cpus in 1 2 4 64; do
			settings=$(settings_for "$machine" "$cpus")
			sum=$(grep -E '^NEXUS_(POSTGRES|REDIS)_MEMORY=' <<<"$settings" | grep -o '[0-9]*' | awk '{ sum += $1 } END { print sum }')
			((sum <= machine * 4 / 5)) || { echo "of $machine MiB the servers may take $sum" >&2 && return 1; }
		done
	done
	same "CPUs left to others" "$(settings_for 8000 4 | grep POSTGRES_CPUS)" NEXUS_POSTGRES_CPUS=3
	same "what Compose makes of it" "$(NEXUS_POSTGRES_CPUS=1.5 NEXUS_POSTGRES_MEMORY=4000m docker compose --env-file /etc/nexus/nexus.env \
		--file /usr/local/share/nexus/compose/docker-compose.yml config --format json | jq --compact-output '.services.postgres | [.cpus, .mem_limit]')" '[1.5,"4194304000"]'
}

# Owner, group and mode of what holds secrets.
modes() { stat --format='%n %u %g %a' /etc/nexus/credentials /etc/nexus/credentials/* /etc/nexus/nexus.env /var/lib/nexus/backups | sed 's,.*/,,'; }
secrets_are_closed() {
	local nexus
	nexus=$(getent group nexus | cut -d: -f3)
	same "the modes" "$(modes)" "credentials 0 0 700
machine_identity 0 0 600
nexus_app_password 999 999 600
postgres_password 999 999 600
postgres_pgpass 999 999 600
redis_acl 999 1000 600
redis_password 0 0 600
nexus.env 0 $nexus 640
backups $nexus $nexus 700"
	same "the owner's file" "$(stat --format=%a "$owner")" 600
	same "recipients" "$(grep -c '^age1' /etc/nexus/recipients.txt)" 2
	grep -qxF "$(age-keygen -y "$owner")" /etc/nexus/recipients.txt
}

digest() { find /etc/nexus /usr/local/share/nexus /usr/local/lib /etc/systemd/system -type f -o -type l | sort | xargs -d '\n' sha256sum | sha256sum; }
again_changes_nothing() {
	local before started
	before=$(digest)
	started=$(docker inspect --format '{{.State.StartedAt}}' nexus-postgres nexus-redis)
	install_now >/dev/null
	same "the files' digest" "$(digest)" "$before"
	same "the containers' start" "$(docker inspect --format '{{.State.StartedAt}}' nexus-postgres nexus-redis)" "$started"
}

upgrade_keeps_what_is_the_persons() {
	local cpus=0
	if [[ $(docker info --format '{{.CPUCfsQuota}}') == true ]]; then cpus=1; fi
	sed -i -e 's/^NEXUS_REDIS_CPUS=.*/NEXUS_REDIS_CPUS=1/' -e 's/^NEXUS_KEEP_DAYS=.*/NEXUS_KEEP_DAYS=7/' -e '/^NEXUS_ZSTD_LEVEL=/d' /etc/nexus/nexus.env
	sed -i 's/^max_connections = .*/max_connections = 60/' /etc/nexus/postgres/postgresql.conf
	printf '# mine\n' >>/var/lib/nexus/installed/postgresql.conf # as if an earlier version had written another default
	printf 'services: { redis: { labels: { mine: "yes" } } }\n' >/etc/nexus/compose.override.yml
	systemctl disable --quiet --now nexus-backup.timer
	touch /usr/local/lib/systemd/system/nexus-of-old.service
	echo /usr/local/lib/systemd/system/nexus-of-old.service >>/usr/local/share/nexus/installed-files
	install_now >/dev/null
	same "a CPU limit that this kernel cannot keep" "$(grep NEXUS_REDIS_CPUS /etc/nexus/nexus.env)" "NEXUS_REDIS_CPUS=$cpus"
	same "a setting" "$(grep -c '^NEXUS_KEEP_DAYS=7$' /etc/nexus/nexus.env)" 1
	same "a new setting and its comment" "$(grep -B 1 '^NEXUS_ZSTD_LEVEL=3$' /etc/nexus/nexus.env | head -n 1 | cut -c 1-13)" "# Compression"
	grep -qx 'max_connections = 60' /etc/nexus/postgres/postgresql.conf
	grep -qx 'max_connections = 50' /etc/nexus/postgres/postgresql.conf.new
	same "the override in force" "$(docker inspect --format '{{.Config.Labels.mine}}' nexus-redis)" yes
	same "the timer" "$(systemctl is-enabled nexus-backup.timer || true)" disabled
	test ! -e /usr/local/lib/systemd/system/nexus-of-old.service
	systemctl enable --quiet --now nexus-backup.timer
}

backups_may_be_elsewhere() {
	sed -i 's,^NEXUS_BACKUP_DIR=.*,NEXUS_BACKUP_DIR=/srv/nexus-sets,' /etc/nexus/nexus.env
	install_now >/dev/null
	find /srv/nexus-sets -mindepth 1 -maxdepth 1 -name '0*' | grep -q .
	same "its drop-in" "$(systemctl show --property=ReadWritePaths --value nexus-backup.service)" "/var/lib/nexus/backups /srv/nexus-sets"
	sed -i 's,^NEXUS_BACKUP_DIR=.*,NEXUS_BACKUP_DIR=/var/lib/nexus/backups,' /etc/nexus/nexus.env
	install_now >/dev/null
	test ! -e /etc/systemd/system/nexus-backup.service.d/10-nexus-backup-dir.conf
	rm -r /srv/nexus-sets
}

removed_and_taken_up_again() {
	as_program --command="INSERT INTO nexus_memory.zep_episodic_memory (content) VALUES ('stays')"
	redis SET stays yes >/dev/null
	exits 0 "What it kept is still here" "$clone/install.sh" --uninstall
	same "containers" "$(docker ps --all --quiet)" ""
	same "files" "$(find /usr/local /etc/systemd -name '*nexus*')" ""
	install_now >/dev/null
	same "the row" "$(as_program --command="SELECT content FROM nexus_memory.zep_episodic_memory WHERE content = 'stays'")" stays
	same "the key" "$(redis GET stays)" yes
}

volume_without_its_password() {
	"$clone/install.sh" --uninstall >/dev/null
	mv /etc/nexus "$work/etc"
	exits 78 "not its password" install_now
	rm -rf /etc/nexus
	mv "$work/etc" /etc/nexus
	install_now >/dev/null
	healthy
}

purge_asks() { exits 64 "there is no terminal to ask on" "$clone/install.sh" --uninstall --purge; }
purge() {
	exits 0 "are gone from this machine" "$clone/install.sh" --uninstall --purge --yes
	nothing_is_left
	same "failed units" "$(systemctl --failed --no-legend)" ""
}

nothing_is_left() {
	same "files of NEXUS" "$(find / -xdev -name '*nexus*' -not -path "$clone*" -not -path "$work*" -not -path '/proc/*' -not -path '/var/lib/containerd/*' -not -path '/var/lib/docker/overlay2/*' -not -path '/usr/share/postgresql*' -prune)" ""
	same "in /run" "$(find /run -maxdepth 1 -name 'nexus*')" ""
	same "volumes" "$(docker volume ls --quiet --filter name=nexus)" ""
	same "its user and group" "$(getent passwd nexus; getent group nexus || true)" ""
}

# On a terminal the owner's key is shown, must be typed back, and is nowhere afterwards.
shown_once_on_a_terminal() {
	local key
	python3 "$clone/tests/live/answer.py" "$clone/install.sh" --bin-dir "$clone/bin" >"$work/screen"
	key=$(grep -o 'AGE-SECRET-KEY-[0-9A-Z]*' "$work/screen" | sort -u)
	same "keys on the screen" "$(wc -l <<<"$key")" 1
	grep -qxF "$(age-keygen -y - <<<"$key")" /etc/nexus/recipients.txt
	same "where the key is" "$(grep -rlF "$key" /etc /var/lib/nexus /var/log /root /run /tmp --exclude-dir="$(basename "$work")" 2>/dev/null || true)" ""
	same "in the journal" "$(journalctl --no-pager --output=cat | grep -cF "$key" || true)" 0
}

check wrong_usage
check check_names_what_is_missing
check packagers_get_files
check not_without_root
check person_with_sudo
check failures_can_be_repeated
check one_at_a_time
check sizes_fit_the_machine
check secrets_are_closed
check again_changes_nothing
check upgrade_keeps_what_is_the_persons
check backups_may_be_elsewhere
check removed_and_taken_up_again
check volume_without_its_password
check purge_asks
check purge
check shown_once_on_a_terminal
check cut_short
check first_start_cut_short
check purge
report
