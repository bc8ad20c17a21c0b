# Tests the upgrade from PostgreSQL 17 to 18, with a client that stores meanwhile.
# shellcheck shell=bash disable=SC2154,SC2034 # here, work, deb and old_postgres are those of tests/live/package.sh, which uses the conditions

old_image=pgvector/pgvector:0.8.0-pg17-trixie
new_image=pgvector/pgvector:0.8.7-pg18-trixie

major_that_runs() { as_owner --command='SHOW server_version_num' | cut -c 1-2; }
digest() { bash "$here/memory.sh" digest; }
upgrade_postgres() { nexus-upgrade-postgres --yes "$@" >"$work/upgrade" 2>&1 || { local status=$? && tail -n 12 "$work/upgrade" >&2 && return "$status"; }; }

memory_of_old_postgres() {
	docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/17/bin' \
		--change 'ENV LANG=en_US.utf8' --change 'ENTRYPOINT ["docker-entrypoint.sh"]' --change 'STOPSIGNAL SIGINT' "$old_postgres" "$old_image" >/dev/null
	apt_now install "$deb"
	printf 'NEXUS_POSTGRES_IMAGE=%s\nNEXUS_POSTGRES_MAJOR=17\n' "$old_image" >"$work/settings"
	install -D --mode=0640 --group=nexus "$work/settings" /etc/nexus/nexus.env
	nexus-setup --yes --owner-identity "$work/owner.txt" --model none >/dev/null
	same "the server" "$(major_that_runs)" 17
	as_owner --command="INSERT INTO nexus_memory.zep_episodic_memory (content, tags, embedding)
		SELECT 'episode ' || i, ARRAY['postgres'], (SELECT array_agg(sin(i * j)::real)::vector FROM generate_series(1, 384) j) FROM generate_series(1, 500) i"
}

# With an image of the same version, a missing one, and one without pgvector, nothing changes and the old server goes on.
refused_upgrades() {
	local before running_since
	before=$(digest)
	running_since=$(started_at)
	fails "For another image of the same version" nexus-upgrade-postgres --yes "$old_image"
	fails "is not here and could not be fetched" nexus-upgrade-postgres --yes nobody/has:this
	# A setting that prevents a restart is reported before the restart.
	echo 'no_such_setting = 1' >>/etc/nexus/postgres/local.conf
	fails 'unrecognized configuration parameter "no_such_setting"' nexus-upgrade-postgres --yes "$new_image"
	sed -i '/no_such_setting/d' /etc/nexus/postgres/local.conf
	docker exec nexus-postgres psql -XAtqd postgres -c "CREATE DATABASE closed ALLOW_CONNECTIONS false"
	fails "so they cannot be moved: closed" nexus-upgrade-postgres --yes "$new_image"
	docker exec nexus-postgres dropdb closed
	same "the server" "$(started_at)" "$running_since"
	docker run --name without --entrypoint rm "$new_image" -f /usr/share/postgresql/18/extension/vector.control
	docker commit --change 'ENTRYPOINT ["docker-entrypoint.sh"]' without without:pg18 >/dev/null
	docker rm --volumes without >/dev/null
	fails "the previous PostgreSQL runs again" nexus-upgrade-postgres --yes without:pg18
	as_before "$before"
	docker rmi without:pg18 >/dev/null
	fails "there is no older PostgreSQL" nexus-upgrade-postgres --yes --back
}

started_at() { docker inspect --format '{{.State.StartedAt}}' nexus-postgres; }

# as_before DIGEST: the old server must run with its rows, programs and jobs must work, and nothing unfinished may be left.
as_before() {
	same "the server" "$(major_that_runs)" 17
	same "the memory" "$(digest)" "$1"
	same "enabled jobs that do not run" "$(systemctl is-active nexus-backup.timer nexus-purge.timer nexus-health.service | sort -u)" active
	as_program --command='SELECT 1' >/dev/null
	stored_again before
	same "clusters" "$(clusters_here)" 17
	test ! -e /var/lib/nexus/installed/postgres-at-work
	same "the unit" "$(systemctl is-active nexus-upgrade-postgres.service || true)" inactive
}
clusters_here() { ls "$(place_of_clusters)"; }
place_of_clusters() { docker volume inspect --format '{{.Mountpoint}}' nexus_postgres_data; }
# Confirms that an inserted row is there, and deletes it again, so that the memory is unchanged.
stored_again() {
	curl --silent --show-error --fail --retry 20 --retry-all-errors --retry-delay 1 --output /dev/null 127.0.0.1:8003/memory/action \
		--json "{\"action_type\": \"note\", \"action_details\": {\"content\": \"$1\"}}"
	same "stored episodes" "$(as_owner --command="DELETE FROM nexus_memory.zep_episodic_memory WHERE content = '$1' RETURNING 1" | sort -u)" 1
}

backup_runs="pgrep --exact nexus-backup"
new_server_runs="[[ \$(docker inspect --format '{{.Config.Image}} {{.State.Running}}' nexus-postgres) == '$new_image true' ]]"
ended() { [[ $(systemctl is-active nexus-upgrade-postgres.service) == inactive || $(systemctl is-active nexus-upgrade-postgres.service) == failed ]]; }

# stopped_by HOW CONDITION: stops the upgrade once CONDITION succeeds; it must be undone at once.
stopped_by() {
	local before began=$SECONDS
	before=$(digest)
	case $1 in
	ctrl-c) python3 -B "$here/package/hangup.py" "$2" '\x03\x03' "nexus-upgrade-postgres --yes $new_image" ;;
	systemctl) at_condition "$2" systemctl stop nexus-upgrade-postgres.service ;;
	*) at_condition "$2" systemctl kill --kill-whom=main --signal="$1" nexus-upgrade-postgres.service ;;
	esac
	await 120 ended
	as_before "$before"
	# A lost signal would take the two minutes after which Docker kills.
	((SECONDS - began < 110)) || { echo "it took $((SECONDS - began)) s" >&2 && return 1; }
}
at_condition() {
	nexus-upgrade-postgres --yes "$new_image" >"$work/upgrade" 2>&1 &
	await_brief 120 bash -c "$1"
	"${@:2}"
	if wait "$!"; then echo "it says that it is done" >&2 && return 1; fi
}

# After a closed terminal the upgrade goes on to its end.
hung_up() {
	local before
	before=$(digest)
	python3 -B "$here/package/hangup.py" "$1" close "nexus-upgrade-postgres --yes $new_image"
	await 300 ended
	same "the server" "$(major_that_runs)" 18
	same "the memory" "$(digest)" "$before"
	same "enabled jobs that do not run" "$(systemctl is-active nexus-backup.timer nexus-purge.timer nexus-health.service | sort -u)" active
	stored_again after
	nexus-upgrade-postgres --yes --back >/dev/null
	nexus-upgrade-postgres --yes --finish >/dev/null
	as_before "$before"
}

# A stop while a new cluster is being made must not hang for two minutes.
stopped_while_a_cluster_is_made() {
	docker run --detach --name half --init --network none --user 999:999 --stop-signal SIGINT --stop-timeout 60 --env PGDATA=/tmp/cluster/docker \
		--tmpfs /tmp:uid=999,gid=999 --tmpfs /var/run/postgresql:uid=999,gid=999 --volume /usr/share/nexus/compose/postgres:/nexus:ro \
		--volume "$keys/postgres_password:/run/secrets/postgres_password:ro" --entrypoint bash "$old_image" /nexus/start.sh postgres >/dev/null
	await 30 docker exec half test -d /tmp/cluster/docker.new
	docker stop half >/dev/null
	same "its end" "$(docker inspect --format '{{.State.ExitCode}}' half)" 143
	docker rm half >/dev/null
}

# If another process starts the stack during an upgrade, the old server runs again at once, and the upgrade stops.
stack_started_meanwhile() {
	local before
	before=$(digest)
	nexus-upgrade-postgres --yes "$new_image" >"$work/upgrade" 2>&1 &
	await_brief 120 bash -c "$1"
	# Stopped until the stack is up, because one of two processes that change a container at the same time may fail.
	systemctl kill --signal=STOP nexus-upgrade-postgres.service
	await 180 systemctl reload nexus-stack.service
	await 180 stores_meanwhile
	systemctl kill --signal=CONT nexus-upgrade-postgres.service
	if wait "$!"; then echo "the upgrade succeeded" >&2 && return 1; fi
	same "episodes stored meanwhile" "$(as_owner --command="DELETE FROM nexus_memory.zep_episodic_memory WHERE content = 'meanwhile' RETURNING 1")" 1
	as_before "$before"
}

stores_meanwhile() { as_program --command="INSERT INTO nexus_memory.zep_episodic_memory (content) VALUES ('meanwhile')"; }

# A superuser inside the container passes every gate. The server refuses their writes too, and if they force one, nothing is lost.
superuser_writes_meanwhile() {
	local before
	before=$(digest)
	nexus-upgrade-postgres --yes "$new_image" >"$work/upgrade" 2>&1 &
	await_brief 120 bash -c "$backup_runs"
	kill -STOP "$(pgrep --exact nexus-backup)"
	fails "read-only transaction" as_owner --command='CREATE TABLE late AS SELECT 1'
	fails "read-only transaction" as_owner --command="SELECT lo_from_bytea(0, 'late')"
	as_owner --command='SET default_transaction_read_only = off' --command='CREATE TABLE public.late AS SELECT 1'
	kill -CONT "$(pgrep --exact nexus-backup)"
	if wait "$!"; then echo "the upgrade succeeded" >&2 && return 1; fi
	grep -q 'another session wrote during the backup' "$work/upgrade"
	same "rows written" "$(as_owner --command='SELECT count(*) FROM public.late')" 1
	as_owner --command='DROP TABLE public.late'
	as_before "$before"
}

# Adds databases, roles and settings of the owner.
more_in_the_server() {
	docker exec nexus-postgres createdb notes
	docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=notes <<-'SQL'
		CREATE TABLE thoughts (id serial PRIMARY KEY, t text, at timestamptz DEFAULT now());
		INSERT INTO thoughts (t) SELECT md5(i::text) FROM generate_series(1, 1000) i;
		SELECT lo_from_bytea(0, 'a picture');
	SQL
	docker exec nexus-postgres psql -XAtqd postgres -c 'CREATE TABLE in_postgres AS SELECT 7 AS i'
	# A database after `postgres` in the alphabet, with a role that would become a superuser if a superuser cast her rows.
	docker exec nexus-postgres createdb zeta
	docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=zeta <<-'SQL'
		CREATE ROLE mallory;
		CREATE SCHEMA m AUTHORIZATION mallory;
		SET SESSION AUTHORIZATION mallory;
		CREATE TABLE m.t AS SELECT 1 AS a;
		CREATE FUNCTION m.steal(m.t) RETURNS text LANGUAGE plpgsql AS $$BEGIN ALTER ROLE mallory SUPERUSER; RETURN 'stolen'; END$$;
		CREATE CAST (m.t AS text) WITH FUNCTION m.steal(m.t);
	SQL
	as_owner --command="ALTER SYSTEM SET work_mem = '33MB'" --command="ALTER ROLE nexus_app SET work_mem = '9MB'" \
		--command="CREATE ROLE reporter LOGIN PASSWORD 'of the reporter'" --command='GRANT CONNECT ON DATABASE notes TO reporter'
	echo 'host notes reporter 10.1.2.0/24 scram-sha-256' >>"$(place_of_clusters)/17/docker/pg_hba.conf"
	as_owner --command='SELECT pg_reload_conf()' >/dev/null
	rest_of_the_server >"$work/rest"
}
# The server's user can put links into the directories of a cluster. Root must not follow them.
links_in_a_cluster_lead_root_nowhere() {
	local before cluster key=/etc/nexus/credentials/machine_identity
	before=$(digest)
	cluster=$(place_of_clusters)/17/docker
	mv "$cluster/pg_ident.conf" "$work"
	ln -s "$key" "$cluster/pg_ident.conf"
	if nexus-upgrade-postgres --yes "$new_image" >"$work/upgrade" 2>&1; then echo "the upgrade succeeded" >&2 && return 1; fi
	same "files of the server with the key" "$(grep -rlF "$(tail -n 1 "$key")" "$(place_of_clusters)" || true)" ""
	mv -fT "$work/pg_ident.conf" "$cluster/pg_ident.conf"
	as_before "$before"
}
# Prints rows, settings, roles with their passwords' hashes, and rules.
rest_of_the_server() {
	local database
	for database in notes postgres zeta; do
		docker exec nexus-postgres pg_dump --inserts --dbname="$database" | grep -vE '^(--|\\(un)?restrict |SET )' # comments have versions
	done
	as_owner --command="SELECT name, setting FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'" \
		--command='SELECT database, user_name, address FROM pg_hba_file_rules WHERE address IS NOT NULL ORDER BY 1, 2, 3' \
		--command="SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname NOT LIKE 'nexus%' ORDER BY 1" \
		--command='SELECT setrole::regrole, setconfig FROM pg_db_role_setting WHERE setdatabase = 0 ORDER BY 1'
}
the_rest_of_the_server_was_carried() {
	same "the rest of the server" "$(rest_of_the_server | diff "$work/rest" -)" ""
	same "whether mallory is a superuser" "$(as_owner --command="SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'")" f
	same "work_mem" "$(as_owner --command='SHOW work_mem')" 33MB
	PGPASSWORD='of the reporter' psql -XAtq --host=/run/nexus/postgres --username=reporter --dbname=notes --command='SELECT 1' >/dev/null
	same "leftover dumps" "$(ls "$(place_of_clusters)")" $'17\n18'
	same "hashes of passwords in the journal" "$(journalctl --output=cat | grep --count 'SCRAM-SHA-256\$' || true)" 0
	same "hashes of passwords in the server's log" "$(docker logs nexus-postgres 2>&1 | grep --count 'SCRAM-SHA-256\$' || true)" 0
}

# --finish does not remove a cluster that has the only copy of a database.
finish_keeps_the_only_copy() {
	docker exec nexus-postgres dropdb notes
	fails "has databases that PostgreSQL 18 lacks: notes" nexus-upgrade-postgres --yes --finish
	fails "lacks: notes" nexus-upgrade-postgres --yes --finish --drop-database others
	same "clusters" "$(clusters_here)" $'17\n18'
	nexus-upgrade-postgres --yes --finish --drop-database notes >/dev/null
	same "clusters" "$(clusters_here)" 18
}

# The owner's time limits end no session of the upgrade; the backup takes longer than these limits.
hostile_limits() {
	printf '%s\n' "idle_in_transaction_session_timeout = '5s'" "transaction_timeout = '5s'" "statement_timeout = '20s'" "idle_session_timeout = '5s'" >>/etc/nexus/postgres/local.conf
	as_owner --command='SELECT pg_reload_conf()' >/dev/null
}
no_hostile_limits() {
	sed -i '/_timeout/d' /etc/nexus/postgres/local.conf
	as_owner --command='SELECT pg_reload_conf()' >/dev/null
}
slow_backup() {
	await_brief 120 bash -c "$backup_runs"
	local backup
	backup=$(pgrep --exact nexus-backup)
	kill -STOP "$backup"
	sleep 7 # longer than each limit
	kill -CONT "$backup"
}
upgrade_slowly() {
	slow_backup &
	upgrade_postgres "$new_image"
	wait "$!"
}

postgres_upgraded_while_storing() {
	local began=$SECONDS
	hostile_limits
	while_storing postgres upgrade_slowly
	no_hostile_limits
	echo "   PostgreSQL 17 to 18, with its proof: $((SECONDS - began)) s" >&3
	same "the server" "$(major_that_runs)" 18
	same "episodes" "$(as_owner --command="SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE tags = ARRAY['postgres']")" 500
	same "databases" "$(docker exec nexus-postgres psql -XAtqd postgres -c 'SELECT count(*) FROM pg_database WHERE NOT datistemplate')" 4
	same "the newest set is proven" "$(nexus-restore list --json | jq '[.. | objects | select(has("proven"))] | sort_by(.id) | last | .proven != null')" true
	# The image is the shipped one, so the setting stays empty for later versions of NEXUS.
	grep -qx 'NEXUS_POSTGRES_IMAGE=' /etc/nexus/nexus.env
	grep -qx 'NEXUS_POSTGRES_MAJOR=18' /etc/nexus/nexus.env
}

after_a_boot_too() {
	systemctl stop nexus.target nexus-stack.service
	docker compose --project-name nexus-memory-stack down
	systemctl start nexus.target
	await 120 healthy
	same "the server" "$(major_that_runs)" 18
}

# A set of 17 restores into 18.
old_sets_restore() {
	local first
	first=$(sets | head -n 1)
	nexus-restore apply "${first%%-*}" --into look >/dev/null
	docker exec nexus-postgres dropdb look
}

# Rows that were forgotten since the upgrade do not come back.
back_and_forth() {
	local id
	id=$(as_owner --command="SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE content = 'episode 7'")
	nexus-purge --episode "$id" --yes >/dev/null
	nexus-upgrade-postgres --yes --back >/dev/null
	same "the server" "$(major_that_runs)" 17
	same "episodes" "$(as_owner --command="SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE tags = ARRAY['postgres']")" 499
	same "the forgotten one" "$(as_owner --command="SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE episode_id = '$id'")" 0
	stored_again back
	nexus-upgrade-postgres --yes --finish >/dev/null
	upgrade_postgres "$new_image"
	finish_keeps_the_only_copy
	same "the server" "$(major_that_runs)" 18
}
