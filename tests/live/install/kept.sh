# Tests what an installation writes, and what an upgrade keeps.
# shellcheck shell=bash disable=SC2154 # clone, owner and work are those of tests/live/install.sh

# settings_for MEMORY CPUS: prints the settings for a machine of that size.
settings_for() (
	# shellcheck source=/dev/null
	. "$clone/install.d/setup/sizes.sh"
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
	same "Compose's value" "$(NEXUS_POSTGRES_CPUS=1.5 NEXUS_POSTGRES_MEMORY=4000m docker compose --env-file /etc/nexus/nexus.env \
		--file /usr/local/share/nexus/compose/docker-compose.yml config --format json | jq --compact-output '.services.postgres | [.cpus, .mem_limit]')" '[1.5,"4194304000"]'
}

# Prints owner, group and mode of the files with secrets.
modes() { stat --format='%n %u %g %a' /etc/nexus/credentials /etc/nexus/credentials/* /etc/nexus/nexus.env /var/lib/nexus/backups | sed 's,.*/,,'; }
secrets_are_closed() {
	local nexus
	nexus=$(getent group nexus | cut -d: -f3)
	same "the modes" "$(modes)" "credentials 0 0 700
grafana_password 472 0 600
ledger_key 0 0 600
machine_identity 0 0 600
nexus_app_password 999 999 600
nexus_embed_password 999 999 600
postgres_password 999 999 600
postgres_pgpass 999 999 600
redis_acl 999 1000 600
redis_api_password 0 0 600
redis_password 0 0 600
nexus.env 0 $nexus 640
backups $nexus $nexus 700"
	same "the owner's file" "$(stat --format=%a "$owner")" 600
	same "recipients" "$(grep -c '^age1' /etc/nexus/recipients.txt)" 2
	grep -qxF "$(age-keygen -y "$owner")" /etc/nexus/recipients.txt
}

# Puts the credentials back from a copy, as in docs/TROUBLESHOOTING.md, which gives them to root; and the files of the jobs too.
put_back_as_roots() {
	local before began=$SECONDS
	before=$(modes)
	cp -r /etc/nexus/credentials "$work/credentials"
	systemctl stop nexus.target nexus-stack
	docker rm nexus-postgres nexus-redis >/dev/null
	rm -r /etc/nexus/credentials
	cp -r "$work/credentials" /etc/nexus
	chown -R root:root /var/lib/nexus/backups
	chmod 0644 /etc/nexus/nexus.env
	same "owners before" "$(stat --format=%u /etc/nexus/credentials/redis_acl)" 0
	systemctl start --no-block nexus.target
	await 60 postgres_is_asked_in_vain
	nexus-setup --yes --model none >/dev/null
	same "the modes" "$(modes)" "$before"
	same "files of root's among the sets" "$(find /var/lib/nexus/backups ! -user nexus)" ""
	await 30 healthy
	systemctl start nexus-backup
	((SECONDS - began < 300))
}

# A server keeps exiting: setup stops, and shows its last messages.
a_server_that_fails() {
	cp -a /etc/nexus/compose.override.yml "$work/override"
	echo 'services: { postgres: { entrypoint: ["sh", "-c", "echo made to fail; sleep 1; exit 3"] } }' >/etc/nexus/compose.override.yml
	exits 69 "made to fail" timeout 300 nexus-setup --yes --model none
	cp -a "$work/override" /etc/nexus/compose.override.yml
	nexus-setup --yes --model none >/dev/null
	await 30 healthy
}

# PostgreSQL runs on its old cluster, and no login works.
postgres_is_asked_in_vain() { (($(docker inspect --format '{{len .State.Health.Log}}' nexus-postgres) > 2)); }

# wait_in_setup MINUTES VERB UNIT: waits like nexus-setup.
wait_in_setup() (
	# shellcheck disable=SC2034,SC2100 # say.sh reads it
	program=nexus-setup
	# shellcheck source=/dev/null
	. "$clone/install.d/setup/say.sh" && . "$clone/install.d/setup/wait.sh"
	wait_for_unit "$@"
)
# For a unit that is never ready, and one that fails, the wait is reported and ends.
waiting_ends() {
	local unit=/run/systemd/system/never-ready.service
	printf '[Service]\nType=oneshot\nTimeoutStartSec=10min\nExecStart=sh -c "echo asks for the moon; exec sleep 600"\n' >"$unit"
	systemctl daemon-reload
	exits 1 "never-ready.service was not ready within 1 min" timeout 120 bash -c "$(declare -f wait_in_setup); clone=$clone; wait_in_setup 1 start never-ready.service"
	exits 1 "asks for the moon" timeout 120 bash -c "$(declare -f wait_in_setup); clone=$clone; wait_in_setup 1 start never-ready.service"
	systemctl stop never-ready.service
	printf '[Service]\nType=oneshot\nExecStart=false\n' >"$unit"
	systemctl daemon-reload
	exits 1 "failed" timeout 20 bash -c "$(declare -f wait_in_setup); clone=$clone; wait_in_setup 1 start never-ready.service"
	rm "$unit"
	systemctl daemon-reload
	systemctl reset-failed
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

an_upgrade_keeps_the_owners_changes() {
	local cpus=0
	if [[ $(docker info --format '{{.CPUCfsQuota}}') == true ]]; then cpus=1; fi
	sed -i -e 's/^NEXUS_REDIS_CPUS=.*/NEXUS_REDIS_CPUS=1/' -e 's/^NEXUS_KEEP_DAYS=.*/NEXUS_KEEP_DAYS=7/' -e '/^NEXUS_ZSTD_LEVEL=/d' /etc/nexus/nexus.env
	sed -i 's/^max_connections = .*/max_connections = 60/' /etc/nexus/postgres/postgresql.conf
	printf '# mine\n' >>/var/lib/nexus/installed/postgresql.conf # as if an earlier version had written another default
	printf 'services: { redis: { labels: { mine: "yes" } } }\n' >/etc/nexus/compose.override.yml
	systemctl disable --quiet --now nexus-backup.timer
	touch /usr/local/lib/systemd/system/nexus-of-old.service
	echo /usr/local/lib/systemd/system/nexus-of-old.service >>/usr/local/share/nexus/installed-files
	# An upgrade keeps what --with-bench has installed; without that it is not installed.
	test ! -e /usr/local/bin/nexus-bench
	echo /usr/local/bin/nexus-bench >>/usr/local/share/nexus/installed-files
	install_now >/dev/null
	test -x /usr/local/bin/nexus-bench
	same "a CPU limit that this kernel cannot keep" "$(grep NEXUS_REDIS_CPUS /etc/nexus/nexus.env)" "NEXUS_REDIS_CPUS=$cpus"
	same "a setting" "$(grep -c '^NEXUS_KEEP_DAYS=7$' /etc/nexus/nexus.env)" 1
	same "a new setting and its comment" "$(grep -B 1 '^NEXUS_ZSTD_LEVEL=2$' /etc/nexus/nexus.env | head -n 1 | cut -c 1-13)" "# Compression"
	grep -qx 'max_connections = 60' /etc/nexus/postgres/postgresql.conf
	grep -qx 'max_connections = 50' /etc/nexus/postgres/postgresql.conf.new
	same "the override in force" "$(docker inspect --format '{{.Config.Labels.mine}}' nexus-redis)" yes
	same "the timer" "$(systemctl is-enabled nexus-backup.timer || true)" disabled
	test ! -e /usr/local/lib/systemd/system/nexus-of-old.service
	systemctl enable --quiet --now nexus-backup.timer
}

# A machine of a version in which the API was Redis's default user, with a user that the owner has added.
upgrade_gives_the_api_a_user_of_redis() {
	local started
	rm /etc/nexus/credentials/redis_api_password
	sed -i '/^user nexus-api /d' /etc/nexus/credentials/redis_acl
	printf 'user mine on #%s ~mine:* -@all +get\n' "$(printf mine | sha256sum | cut -d' ' -f1)" >>/etc/nexus/credentials/redis_acl
	docker restart nexus-redis >/dev/null
	await 60 redis_answers
	fails WRONGPASS as_the_api_of_redis PING
	install_now >/dev/null
	same "nexus-api's PING" "$(as_the_api_of_redis PING)" PONG
	same "users" "$(redis ACL LIST | awk '{ print $2 }' | sort | paste -sd' ')" 'default health mine nexus-api'
	same "the API's answer" "$(curl --silent http://127.0.0.1:8003/health | jq -r .redis)" connected
	started=$(docker inspect --format '{{.State.StartedAt}}' nexus-redis)
	install_now >/dev/null
	same "Redis's start" "$(docker inspect --format '{{.State.StartedAt}}' nexus-redis)" "$started"
}
# A machine of a version in which the API ran scripts in Redis, with an item of the working memory from such a script.
upgrade_takes_the_scripts_from_the_api() {
	local now item password
	password=$(</etc/nexus/credentials/redis_password)
	sed -i '/^user nexus-api /s/ +ping / +ping +eval +time /' /etc/nexus/credentials/redis_acl
	docker restart nexus-redis >/dev/null
	await 60 redis_answers
	same "a script before" "$(as_the_api_of_redis EVAL 'return 1' 0)" 1
	now=$(date +%s%3N)
	item='{"accesses":1,"expires":'$((now + 3600000))',"weight":"0.5","order":2,"tags":"[\"a\\/ñ\"]","added":'$now',"accessed":'$now'}'
	REDISCLI_AUTH=$password redis-cli -s /run/nexus/redis/redis.sock HSET nexus-api:working:upgraded kept "$item" >/dev/null
	install_now >/dev/null
	as_the_api_of_redis EVAL 'return 1' 0 | found '^NOPERM'
	same "the item" "$(curl --silent --header 'X-Nexus-Agent: upgraded' http://127.0.0.1:8003/memory/working/items | jq --compact-output '.items[] | [.episode_id, .attention_weight, .tags, .access_count]')" '["kept",0.5,["a/ñ"],1]'
	redis DEL nexus-api:working:upgraded >/dev/null
}
redis_answers() { [[ $(redis PING) == PONG ]]; }
as_the_api_of_redis() {
	local said
	said=$(REDISCLI_AUTH=$(cat /etc/nexus/credentials/redis_api_password 2>/dev/null || echo none) redis-cli -s /run/nexus/redis/redis.sock --user nexus-api "$@" 2>&1)
	printf '%s\n' "$said"
	[[ $said != *WRONGPASS* ]]
}

backups_may_be_elsewhere() {
	sed -i 's,^NEXUS_BACKUP_DIR=.*,NEXUS_BACKUP_DIR=/srv/nexus-sets,' /etc/nexus/nexus.env
	install_now >/dev/null
	find /srv/nexus-sets -mindepth 1 -maxdepth 1 -name '0*' | found .
	same "its drop-in" "$(systemctl show --property=ReadWritePaths --value nexus-backup.service)" "/var/lib/nexus/backups /var/lib/nexus/state/backup /srv/nexus-sets"
	sed -i 's,^NEXUS_BACKUP_DIR=.*,NEXUS_BACKUP_DIR=/var/lib/nexus/backups,' /etc/nexus/nexus.env
	install_now >/dev/null
	test ! -e /etc/systemd/system/nexus-backup.service.d/10-nexus-places.conf
	rm -r /srv/nexus-sets
}
