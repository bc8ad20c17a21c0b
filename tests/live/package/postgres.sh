# From PostgreSQL 17 to 18, with a client that stores meanwhile.
# shellcheck shell=bash disable=SC2154 # here, work, deb and old_postgres are those of tests/live/package.sh

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

# An image of the same version, one that is not there, one without pgvector: nothing is changed, and the old one goes on.
refused_upgrades() {
	local before
	before=$(digest)
	fails "for an image of the same version" nexus-upgrade-postgres --yes "$old_image"
	fails "is not here and could not be fetched" nexus-upgrade-postgres --yes nobody/has:this
	docker run --name without --entrypoint rm "$new_image" -f /usr/share/postgresql/18/extension/vector.control
	docker commit --change 'ENTRYPOINT ["docker-entrypoint.sh"]' without without:pg18 >/dev/null
	docker rm --volumes without >/dev/null
	fails "What runs now is the PostgreSQL of before" nexus-upgrade-postgres --yes without:pg18
	same "the server" "$(major_that_runs)" 17
	same "the memory" "$(digest)" "$before"
	same "jobs that are on and do not run" "$(systemctl is-active nexus-backup.timer nexus-health.service | sort -u)" active
	as_program --command='SELECT 1' >/dev/null
	fails "there is a cluster of PostgreSQL 18 already" nexus-upgrade-postgres --yes "$new_image"
	nexus-upgrade-postgres --yes --finish >/dev/null
	docker rmi without:pg18 >/dev/null
}

# Killed while the new server runs, and booted: the settings still name the old one.
upgrade_cut_short() {
	local before
	before=$(digest)
	nexus-upgrade-postgres --yes "$new_image" >/dev/null 2>&1 &
	await 120 new_server_runs
	kill -KILL $!
	wait $! 2>/dev/null || true
	await 30 flock --nonblock /run/lock/nexus-install true
	systemctl restart nexus-stack.service
	systemctl start nexus.target
	same "the server" "$(major_that_runs)" 17
	same "the memory" "$(digest)" "$before"
	as_program --command='SELECT 1' >/dev/null
	nexus-upgrade-postgres --yes --finish >/dev/null
}
new_server_runs() { [[ $(docker inspect --format '{{.Config.Image}} {{.State.Running}}' nexus-postgres) == "$new_image true" ]]; }

postgres_upgraded_while_storing() {
	local began=$SECONDS
	while_storing postgres upgrade_postgres "$new_image"
	echo "   PostgreSQL 17 to 18, with its proof: $((SECONDS - began)) s" >&3
	same "the server" "$(major_that_runs)" 18
	same "episodes" "$(as_owner --command="SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE tags = ARRAY['postgres']")" 500
	same "databases" "$(docker exec nexus-postgres psql -XAtqd postgres -c 'SELECT count(*) FROM pg_database WHERE NOT datistemplate')" 2
	same "the newest set is proven" "$(nexus-restore list --json | jq '[.. | objects | select(has("proven"))] | sort_by(.id) | last | .proven != null')" true
	# The image is the shipped one: a later version of NEXUS brings its own.
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

back_and_forth() {
	local before
	before=$(digest)
	nexus-upgrade-postgres --yes --back >/dev/null
	same "the server" "$(major_that_runs)" 17
	same "episodes" "$(as_owner --command="SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE tags = ARRAY['postgres']")" 500
	nexus-upgrade-postgres --yes --finish >/dev/null
	upgrade_postgres "$new_image"
	nexus-upgrade-postgres --yes --finish >"$work/finish"
	grep -q 'the cluster of PostgreSQL 17 is removed' "$work/finish"
	same "clusters" "$(ls "$(docker volume inspect --format '{{.Mountpoint}}' nexus_postgres_data)")" 18
	same "the server" "$(major_that_runs)" 18
}
