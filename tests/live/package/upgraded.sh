# Tests the upgrade from one version to the next, and back.
# shellcheck shell=bash disable=SC2154 # here, work, deb and next are those of tests/live/package.sh

sets() { find /var/lib/nexus/backups -mindepth 1 -maxdepth 1 -type d -name '0*' -printf '%f\n' | sort; }
tomorrows_table_is() { same "the next version's table" "$(as_owner --command="SELECT CASE WHEN to_regclass('nexus_memory.of_tomorrow') IS NULL THEN 'no' ELSE 'yes' END")" "$1"; }
image_that_runs() { docker inspect --format '{{.Config.Image}}' nexus-postgres; }

# The next version has another image, another table and another setting.
upgraded_while_storing() {
	sed -i 's/^NEXUS_KEEP_DAYS=.*/NEXUS_KEEP_DAYS=9/' /etc/nexus/nexus.env
	systemctl stop nexus-alert-test.timer && systemctl disable --quiet nexus-alert-test.timer
	sets >"$work/sets-before"
	while_storing upgrade apt_now install "$next"
	same "the version set up" "$(cat /var/lib/nexus/installed/version)" 99.0.0
	same "the image" "$(image_that_runs)" pgvector/pgvector:0.8.99-pg18-trixie
	tomorrows_table_is yes
	same "a setting of the person's" "$(grep -c '^NEXUS_KEEP_DAYS=9$' /etc/nexus/nexus.env)" 1
	same "a unit that the person had switched off" "$(systemctl is-enabled nexus-alert-test.timer || true)" disabled
	same "a new setting" "$(grep -c '^NEXUS_OF_TOMORROW=yes$' /etc/nexus/nexus.env)" 1
	apt_said '    # A setting of the next version.'
	apt_said '    NEXUS_OF_TOMORROW=yes'
}

# There is one more set, with the old memory: without the next version's table.
backed_up_first() {
	same "new sets" "$(comm -13 "$work/sets-before" <(sets) | wc -l)" 1
	nexus-restore apply latest --into 'look' >/dev/null
	same "tomorrow's table in it" "$(docker exec nexus-postgres psql -XAtqd look -c "SELECT to_regclass('nexus_memory.of_tomorrow')")" ""
	docker exec nexus-postgres dropdb look
}

old_programs_are_gone() {
	same "programs that run and are not on the disk any more" \
		"$(find /proc/[0-9]*/exe -lname '/usr/bin/nexus-* (deleted)' 2>/dev/null)" ""
}

# Settings that systemd and Compose read differently stop the package before its files are unpacked: nothing is half done.
no_odd_settings() {
	cp -a /etc/nexus/nexus.env "$work/settings"
	echo 'export NEXUS_KEEP_DAYS=9' >>/etc/nexus/nexus.env
	fails "begins with export: write NAME=value without it" install_loudly "$next"
	# shellcheck disable=SC2016 # dpkg's own
	same "the package" "$(dpkg-query --show --showformat='${db:Status-Abbrev}${Version}' nexus)" "ii 0.1.0"
	same "half-installed packages" "$(dpkg --audit)" ""
	curl --silent --fail --output /dev/null 127.0.0.1:8003/health
	cp -a "$work/settings" /etc/nexus/nexus.env
}

# Without the backup nothing changes; once its obstacle is removed, the upgrade continues.
no_backup_no_upgrade() {
	mv /etc/nexus/recipients.txt "$work"
	echo 'age1nobody' >/etc/nexus/recipients.txt
	fails "the backup before the upgrade failed" install_loudly "$next"
	tomorrows_table_is no
	same "the image" "$(image_that_runs)" pgvector/pgvector:0.8.7-pg18-trixie
	mv "$work/recipients.txt" /etc/nexus/recipients.txt
	systemctl reset-failed
	dpkg --configure --pending
	tomorrows_table_is yes
}
install_loudly() { DEBIAN_FRONTEND=noninteractive apt-get --yes install "$@"; }

# docs/UPGRADE.md: installs the old package; newer episodes stay.
way_back() {
	while_storing back apt_now install --allow-downgrades "$deb"
	same "the version set up" "$(cat /var/lib/nexus/installed/version)" 0.1.0
	same "the image" "$(image_that_runs)" pgvector/pgvector:0.8.7-pg18-trixie
	curl --silent --fail 127.0.0.1:8003/health >/dev/null
}

# And restores the old memory, too.
way_back_of_the_memory() {
	local before
	before=$(comm -13 "$work/sets-before" <(sets) | head -n 1)
	nexus-restore apply "${before%%-*}" --yes >/dev/null
	systemctl reload nexus-stack
	tomorrows_table_is no
	same "its migrations" "$(as_owner --command='SELECT max(version) < 99 FROM nexus_memory.migrations')" t
	curl --silent --fail 127.0.0.1:8003/memory/action --json '{"action_type": "note", "action_details": {"content": "after the way back"}}' >/dev/null
}

# A version of NEXUS with another PostgreSQL keeps the present one.
next_postgres_waits_for_a_word() {
	local shipped=/usr/share/nexus/compose/docker-compose.yml before
	before=$(image_that_runs)
	sed -i.kept "s,$before,pgvector/pgvector:0.9.0-pg19-trixie," "$shipped"
	nexus-setup --yes >"$work/apt"
	apt_said 'nexus-upgrade-postgres pgvector/pgvector:0.9.0-pg19-trixie'
	same "the image" "$(image_that_runs)" "$before"
	mv "$shipped.kept" "$shipped"
	sed -i 's/^NEXUS_POSTGRES_IMAGE=.*/NEXUS_POSTGRES_IMAGE=/' /etc/nexus/nexus.env
	systemctl reload nexus-stack
}

# A wrong version in the settings is reported, and does not begin an empty memory.
no_empty_memory_by_mistake() {
	local rows
	rows=$(stored_contents | wc -l)
	sed -i 's/^NEXUS_POSTGRES_MAJOR=.*/NEXUS_POSTGRES_MAJOR=19/' /etc/nexus/nexus.env
	fails "" systemctl reload nexus-stack
	docker logs --tail 20 nexus-postgres >"$work/apt" 2>&1
	apt_said "the image is PostgreSQL 18, but the memory was made with PostgreSQL 19"
	sed -i 's/^NEXUS_POSTGRES_MAJOR=.*/NEXUS_POSTGRES_MAJOR=18/' /etc/nexus/nexus.env
	systemctl reload nexus-stack
	same "episodes" "$(stored_contents | wc -l)" "$rows"
	same "clusters" "$(ls "$(docker volume inspect --format '{{.Mountpoint}}' nexus_postgres_data)")" 18
}

# Makes a package like those with the Compose project nexus, from this one.
former_package() {
	local root=$work/former
	dpkg-deb --raw-extract "$deb" "$root"
	sed -i 's/^name: nexus-memory-stack$/name: nexus/; s/, external: true }/ }/' "$root/usr/share/nexus/compose/docker-compose.yml"
	sed -i '/take-over\.sh /d; /^Environment=COMPOSE_PROJECT_NAME=/d' "$root"/usr/lib/systemd/system/nexus-*.service
	sed -i 's/^Version: .*/Version: 0.0.9/' "$root/DEBIAN/control"
	echo 0.0.9 >"$root/usr/share/nexus/version"
	(cd "$root" && find usr -type f -print0 | xargs --null md5sum >DEBIAN/md5sums)
	dpkg-deb --root-owner-group --build -Zgzip -z1 "$root" "$work/former.deb"
}
project_that_runs() { docker inspect --format '{{index .Config.Labels "com.docker.compose.project"}}' nexus-postgres nexus-redis | sort -u; }

# To the new project and back, without losing an episode.
from_the_former_project_and_back() {
	former_package
	apt_now install "$work/former.deb"
	nexus-setup --yes --owner-identity "$work/owner.txt" --model none >/dev/null
	same "the project" "$(project_that_runs)" nexus
	while_storing former apt_now install "$deb"
	same "the project" "$(project_that_runs)" nexus-memory-stack
	systemctl restart nexus-stack
	while_storing back-to-former apt_now install --allow-downgrades "$work/former.deb"
	same "the project" "$(project_that_runs)" nexus
	same "the version set up" "$(cat /var/lib/nexus/installed/version)" 0.0.9
	apt_now install "$deb"
	same "containers" "$(docker ps --all --format '{{.Names}}' | sort | paste -sd' ')" "nexus-postgres nexus-redis"
}

# With a person's account called nexus, apt stops before it unpacks a file.
account_of_anothers() {
	useradd --uid 1234 --create-home --shell /bin/bash nexus
	fails "the user nexus has a login shell, /bin/bash" install_loudly "$deb"
	same "files" "$(find /usr /etc -xdev -name '*nexus*' -not -path '/usr/local/*' -prune)" ""
	apt_now purge nexus
	same "the account" "$(getent passwd nexus | cut -d: -f6-)" /home/nexus:/bin/bash
	with_another_account
	userdel --remove nexus 2>/dev/null
}

# The remedy in apt's message: a line in nexus.env before the installation. An upgrade keeps it, and the person's account gets nothing.
with_another_account() {
	local settings=/etc/nexus/nexus.env before
	before=$(getent passwd nexus && getent group nexus && find /home/nexus -printf '%p %u %g %T@\n' | sort)
	install -d /etc/nexus
	echo NEXUS_USER=Memory >"$settings"
	fails "NEXUS_USER is not the name of an account" install_loudly "$deb"
	echo NEXUS_USER=memory >"$settings"
	apt_now install "$deb"
	nexus-setup --yes --owner-identity "$work/owner.txt" --model none >"$work/setup"
	same "settings said to be new" "$(grep -c 'new settings' "$work/setup" || true)" 0
	systemctl start nexus-restore-test
	while_storing other-account apt_now install "$next"
	systemctl start nexus-backup nexus-purge
	same "whose the sets are" "$(stat --format=%U:%G /var/lib/nexus/backups/0*/ | sort -u)" memory:memory
	same "files of the person's account" "$(find / /run -xdev \( -user nexus -o -group nexus \) -not -path '/home/nexus*')" ""
	same "failed units" "$(systemctl list-units --plain --no-legend --state=failed 'nexus-*')" ""
	# apt stops before it unpacks a file, and the old version goes on.
	sed -i 's/^NEXUS_USER=.*/NEXUS_USER=nexus/' "$settings"
	fails "belong to the user memory" install_loudly --reinstall "$next"
	sed -i 's/^NEXUS_USER=.*/NEXUS_USER=memory/' "$settings"
	same "half-installed packages" "$(dpkg --audit)" ""
	# NEXUS_USER in a shell has no effect here.
	NEXUS_USER=other apt_now install --allow-downgrades "$deb"
	healthy
	apt_now remove nexus
	same "leftovers in /etc" "$(find /etc -name '*nexus*' -prune)" /etc/nexus
	echo 'nexus nexus/purge-backups boolean true' | debconf-set-selections
	apt_now purge nexus
	same "the account" "$(getent passwd nexus && getent group nexus && find /home/nexus -printf '%p %u %g %T@\n' | sort)" "$before"
	same "accounts of NEXUS" "$(getent passwd | grep ':NEXUS ' || true)$(getent group memory memory-api memory-proxy || true)" ""
}
