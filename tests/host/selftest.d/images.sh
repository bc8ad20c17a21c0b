# Checks a machine's contents: its tools, and the contract of the two container images.
# shellcheck shell=bash

postgres=$(grep -o '^pgvector/[^ ]*' "${here:?}/image/container-images")
redis=$(grep -o '^redis:[^ ]*' "$here/image/container-images")

# in_left: runs the script on stdin in the machine "left", and stops at its first error.
in_left() {
	# shellcheck disable=SC2016 # expanded inside
	machine exec left -- env postgres="$postgres" redis="$redis" bash -euxo pipefail -c '
		docker rm --force --volumes pg redis
		soon() {    # true within 30 seconds
			{ local deadline=$((SECONDS + 30)); } 2>/dev/null
			until { "$@"; } >/dev/null 2>&1; do
				{ ((SECONDS < deadline)) || return 1; sleep 0.1; } 2>/dev/null
			done
		}
		never() { if "$@"; then return 1; fi; }
		. /dev/stdin'
}

docker_is_usual() {
	[[ $(machine exec left -- docker info --format '{{.Driver}} {{.CgroupDriver}}') == 'overlay2 systemd' ]]
}

tools_are_there() {
	in_left <<-'TEXT'
		docker compose version
		psql --version | grep 'PostgreSQL) 18'
		pg_restore --version | grep 'PostgreSQL) 18'
		age --version && zstd --version && redis-cli --version && jq --version && strace --version && python3 --version
		curl --version && sudo --version && setfacl --version
		/usr/games/fortune es >/dev/null && /usr/games/fortune computers >/dev/null
		[[ $(date +%Z) == UTC ]]
		[[ -d /var/log/journal/$(cat /etc/machine-id) ]]
	TEXT
}

# Runs it like the compose file: no network, no root, no capability, read-only, and a fresh volume.
postgres_keeps_contract() {
	in_left <<-'TEXT'
		mkdir /root/init
		printf secret >/run/password && chmod 644 /run/password
		echo 'create extension vector; create table init_sql(v vector(3));' >/root/init/1.sql
		echo 'create table init_gz();' | gzip >/root/init/2.sql.gz
		echo 'psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "create table init_sh()"' \
			>/root/init/3.sh
		chmod 755 /root /root/init
		docker run --detach --name pg --network none --user 999:999 --cap-drop ALL --read-only --security-opt no-new-privileges \
			--tmpfs /tmp --tmpfs /var/run/postgresql:mode=1777 --volume pg:/var/lib/postgresql \
			--volume /run/password:/run/secrets/password:ro --volume /root/init:/docker-entrypoint-initdb.d:ro \
			--env POSTGRES_USER=nexus --env POSTGRES_DB=memory --env POSTGRES_PASSWORD_FILE=/run/secrets/password \
			--env POSTGRES_INITDB_ARGS='--data-checksums --auth-local=scram-sha-256' "$postgres" -c listen_addresses= -c work_mem=5MB
		ask() { docker exec --env PGPASSWORD=secret pg psql -At -U nexus -d memory -c "$1"; }
		# Waits for the real server, which is PID 1, and not the temporary one of the first start.
		answers() { [[ $(docker exec pg cat /proc/1/comm) == postgres ]] && ask 'select 1'; }
		soon answers
		[[ $(ask 'select extversion from pg_extension where extname = $$vector$$') == 0.8.7 ]]
		[[ $(ask 'select count(*) from pg_available_extensions where name in ($$vector$$, $$amcheck$$, $$pg_trgm$$)') == 3 ]]
		[[ $(ask 'select count(*) from pg_tables where tablename ~ $$^init_$$') == 3 ]]
		[[ $(ask 'show data_directory') == /var/lib/postgresql/18/docker ]]
		[[ $(ask 'show data_checksums; show work_mem; show server_encoding') == $'on\n5MB\nUTF8' ]]
		[[ $(ask 'show server_version_num') == 18* ]]
		[[ $(docker exec pg id -u postgres):$(docker exec pg id -g postgres):$(docker exec pg id -u) == 999:999:999 ]]
		[[ $(docker exec pg sh -c 'echo $PG_MAJOR $PGDATA') == '18 /var/lib/postgresql/18/docker' ]]
		for tool in psql pg_dump pg_restore initdb pg_isready pg_amcheck; do docker exec pg $tool --version; done
		never docker exec pg psql -w -U nexus -d memory -c 'select 1'    # the socket asks for the password, too
		ask 'create table kept()'
		docker restart pg
		soon ask 'select 1'
		ask 'select * from kept'
		[[ $(docker inspect --format '{{.Config.StopSignal}}' pg) == SIGINT ]]
		docker rm --force --volumes pg
		docker volume rm pg
		# Without a password it must fail, not start open to everyone.
		never docker run --rm --network none --user 999 "$postgres"
		[[ $(docker run --rm --network none --user 999 "$postgres" postgres --version) == *' 18.'* ]]
	TEXT
}

postgres_drops_root() {
	in_left <<-'TEXT'
		docker run --detach --name pg --network none --env POSTGRES_PASSWORD=secret "$postgres"
		soon docker exec pg pg_isready -h 127.0.0.1
		[[ $(docker exec pg psql -At -U postgres -c 'select extversion from pg_extension') ]]
		[[ $(docker exec pg stat -c %u /proc/1) == 999 ]]
		docker rm --force --volumes pg
	TEXT
}

redis_keeps_contract() {
	in_left <<-'TEXT'
		[[ $(docker run --rm --network none "$redis" sh -c 'id -u redis; id -g redis; pwd') == $'999\n1000\n/data' ]]
		docker run --detach --name redis --network none --user 999:1000 --cap-drop ALL --read-only --volume redis:/data \
			"$redis" --save 60 1 --port 0 --unixsocket /data/redis.sock
		ask() { docker exec redis redis-cli -s /data/redis.sock "$@"; }
		soon ask ping
		[[ $(ask info server) == *redis_version:8.0.6* ]]
		ask set key value && ask save
		[[ $(docker exec redis stat -c '%u %g' /data/dump.rdb) == '999 1000' ]]
		docker restart redis
		soon ask ping
		[[ $(ask get key) == value ]]
		docker rm --force --volumes redis
		docker volume rm redis
		docker run --detach --name redis --network none "$redis"
		soon docker exec redis redis-cli ping
		[[ $(docker exec redis stat -c %u /proc/1) == 999 ]]
		docker rm --force --volumes redis
	TEXT
}
