#!/usr/bin/env bash
# The servers under systemd, looked at inside an installed machine: who can reach them, whose rows one sees, and that
# they come back from whatever is done to them. Takes about a minute, and breaks things on purpose: not for a machine
# that somebody uses.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

episodes=nexus_memory.zep_episodic_memory

system_runs() { same "the system's state" "$(systemctl is-system-running)" running; }

no_port() {
	same "what listens" "$(ss --no-header --listening --tcp --udp --processes --numeric | grep -E 'postgres|redis|docker-proxy|nexus' || true)" ""
	same "PostgreSQL's network" "$(docker exec nexus-postgres ls /sys/class/net)" lo
	same "Redis' network" "$(docker exec nexus-redis ls /sys/class/net)" lo
}

# As a user who is not root, with the groups given.
as_stranger() {
	local groups=$1
	shift
	setpriv --reuid=4711 --regid=4711 "$groups" "$@"
}

outside_the_group() {
	fails "Permission denied" as_stranger --clear-groups psql --host=/run/nexus/postgres --username=postgres --command='SELECT 1'
	fails "Permission denied" as_stranger --clear-groups redis-cli -s /run/nexus/redis/redis.sock PING
	fails "Permission denied" as_stranger --clear-groups ls /run/nexus
	fails "Permission denied" as_stranger --clear-groups cat /etc/nexus/nexus.env
	fails "Permission denied" as_stranger --clear-groups ls /etc/nexus/credentials /var/lib/nexus
}

inside_the_group() {
	fails "no password supplied" as_stranger --groups=nexus psql --host=/run/nexus/postgres --username=postgres --no-password --command='SELECT 1'
	fails "no password supplied" as_stranger --groups=nexus psql --host=/run/nexus/postgres --username=nexus_app --no-password --dbname=nexus --command='SELECT 1'
	same "Redis without a password" "$(as_stranger --groups=nexus redis-cli -s /run/nexus/redis/redis.sock GET x)" "NOAUTH Authentication required."
	fails "Permission denied" as_stranger --groups=nexus ls /etc/nexus/credentials
	same "a program's query" "$(as_program --command='SELECT current_user')" nexus_app
}

# Every process of both containers: not root, no capability, no way to gain one; and no file of the image is writable.
containers_are_confined() {
	local container pid
	for container in nexus-postgres nexus-redis; do
		for pid in $(docker top "$container" -eo pid | tail -n +2); do
			same "the user of $container's process $pid" "$(awk '/^Uid:/ { print $2, $3, $4, $5 }' "/proc/$pid/status")" "999 999 999 999"
			same "its capabilities" "$(awk '/^Cap(Inh|Prm|Eff|Bnd|Amb):/ && $2 !~ /^0+$/' "/proc/$pid/status")" ""
			same "its no_new_privs" "$(awk '/^NoNewPrivs:/ { print $2 }' "/proc/$pid/status")" 1
			grep -q 'nexus\.slice' "/proc/$pid/cgroup"
		done
		fails "Read-only file system" docker exec "$container" touch /etc/x
	done
}

# No password in the arguments or the environment of any process, while a backup runs and after, nor in what systemd and
# Docker can be asked for. (A shell of this test that was given one in a here-document has it in neither.)
no_secret_shows() {
	local secrets found='' secret
	secrets=$(mktemp)
	for secret in postgres_password nexus_app_password redis_password; do
		cat "$keys/$secret"
		echo
	done >"$secrets"
	tail -n 1 "$keys/machine_identity" >>"$secrets"
	systemctl start --no-block nexus-backup.service
	until [[ -z $(systemctl list-jobs --no-legend nexus-backup.service) ]]; do
		found+=$(grep -lFaf "$secrets" /proc/[0-9]*/{cmdline,environ} 2>/dev/null || true)
	done
	same "the backup's result" "$(systemctl show --property=Result --value nexus-backup.service)" success
	found+=$(grep -lFaf "$secrets" /proc/[0-9]*/{cmdline,environ} 2>/dev/null || true)
	found+=$(docker inspect nexus-postgres nexus-redis | grep -Ff "$secrets" || true)
	found+=$(docker logs nexus-postgres 2>&1 | grep -Ff "$secrets" || true)
	found+=$(docker logs nexus-redis 2>&1 | grep -Ff "$secrets" || true)
	found+=$(journalctl --no-pager --all --output=export | grep -Faf "$secrets" || true)
	rm -f "$secrets"
	same "where a secret was found" "$found" ""
}

agents_see_their_own() {
	as_program --command="INSERT INTO $episodes (content) VALUES ('check: of nobody who knows of agents')" \
		--command="SET nexus.agent_id = 'check-a'" --command="INSERT INTO $episodes (content, agent_id) VALUES ('check: a', 'check-a')" \
		--command="SET nexus.agent_id = 'check-b'" --command="INSERT INTO $episodes (content, agent_id) VALUES ('check: b', 'check-b')"
	same "what no setting sees" "$(as_program --command="SELECT string_agg(content, ',') FROM $episodes WHERE content LIKE 'check: %'")" "check: of nobody who knows of agents"
	same "what a sees" "$(as_program --command="SET nexus.agent_id = 'check-a'" --command="SELECT string_agg(content, ',') FROM $episodes")" "check: a"
	same "what the empty agent sees" "$(as_program --command="SET nexus.agent_id = ''" --command="SELECT count(*) FROM $episodes")" 0
	same "what a changes of b" "$(as_program --command="SET nexus.agent_id = 'check-a'" --command="WITH x AS (UPDATE $episodes SET content = 'x' WHERE content = 'check: b' RETURNING 1) SELECT count(*) FROM x")" 0
	fails "row-level security" as_program --command="SET nexus.agent_id = 'check-a'" --command="INSERT INTO $episodes (content, agent_id) VALUES ('x', 'check-b')"
	fails "row-level security" as_program --command="SET nexus.agent_id = 'check-a'" --command="UPDATE $episodes SET agent_id = 'check-b'"
	fails "row-level security" as_program --command="SET nexus.agent_id = ''" --command="INSERT INTO $episodes (content) VALUES ('x')"
	fails "zep_agent_id_not_empty" as_owner --command="INSERT INTO $episodes (content, agent_id) VALUES ('x', '')"
	fails "zep_importance_score_range" as_program --command="INSERT INTO $episodes (content, importance_score) VALUES ('x', 1.5)"
}

program_cannot_get_round() {
	fails "row-level security" as_program --command="SET row_security = off" --command="SELECT count(*) FROM $episodes"
	fails "must be owner" as_program --command="ALTER TABLE $episodes DISABLE ROW LEVEL SECURITY"
	fails "must be owner" as_program --command="DROP POLICY own_agent ON $episodes"
	fails "permission denied" as_program --command="TRUNCATE $episodes"
	fails "permission denied" as_program --command="SET ROLE postgres"
	fails "permission denied" as_program --command="ALTER ROLE nexus_app BYPASSRLS"
	fails "permission denied" as_program --command="CREATE TABLE nexus_memory.x ()"
	fails "permission denied" as_program --command="COPY (SELECT 1) TO PROGRAM 'cat'"
	fails "permission denied" as_program --command="SELECT pg_read_file('/run/secrets/postgres_password')"
	same "its attributes" "$(as_owner --command="SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = 'nexus_app'")" "f|f|f|f"
	same "tables of memory without forced row-level security" "$(as_owner --command="SELECT string_agg(oid::regclass::text, ',') FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'nexus_memory'::regnamespace AND relname <> 'migrations' AND NOT (relrowsecurity AND relforcerowsecurity)")" ""
}

# 3,000 rows, of which an agent has one in a hundred.
many_rows() {
	as_owner --command="INSERT INTO $episodes (content, agent_id, tags, embedding)
		SELECT 'check: ' || string_agg(md5(random()::text), ' '), CASE WHEN i % 100 = 0 THEN 'check-few' ELSE 'check-many' END, ARRAY['check-' || i % 1000],
			array_agg((random() * 2 - 1)::real)::public.vector
		FROM generate_series(1, 3000) i, generate_series(1, 384) j WHERE i IS NOT NULL GROUP BY i" \
		--command="ANALYZE $episodes"
}

# What an episode says must not end in a log, also when it cannot be stored: neither the statement, nor its parameters,
# nor the row that an error's details quote.
no_text_in_a_log() {
	fails "zep_importance_score_range" as_program --command="INSERT INTO $episodes (content, importance_score) VALUES ('whisper-in-a-row', 7)"
	fails "syntax error" as_program --command="INSERT INTO $episodes VALUES whisper-in-a-statement"
	same "what the log has of it" "$(docker logs nexus-postgres 2>&1 | grep whisper || true)$(journalctl --no-pager --all --output=export | grep -aF whisper || true)" ""
}

# plan INDEX AGENT SQL: the planner uses INDEX for what a program asks as AGENT, and does so by its own choice.
plan() {
	local plan
	plan=$(as_program --command="SET nexus.agent_id = '$2'" --command="EXPLAIN $3")
	[[ $plan == *"$1"* ]] || {
		printf 'without %s: %s\n' "$1" "$plan" >&2
		return 1
	}
}

searches_use_their_index() {
	plan zep_words check-many "SELECT FROM $episodes WHERE nexus_memory.episode_words(content) @@ nexus_memory.episode_query('memoria')"
	plan zep_tags check-many "SELECT FROM $episodes WHERE tags @> ARRAY['check-1']"
	plan zep_agent_timestamp check-few "SELECT FROM $episodes ORDER BY \"timestamp\" DESC LIMIT 10"
	plan zep_embedding_hnsw check-many "SELECT FROM $episodes ORDER BY embedding <=> array_fill(0.5::real, ARRAY[384])::vector LIMIT 10"
}

# The nearest rows of a whole table are other agents'; ten of one's own must be found all the same.
nearest_of_ones_own() {
	same "how many of ten are found" "$(as_program --command="SET nexus.agent_id = 'check-few'" --command='SET enable_seqscan = off' --command='SET enable_sort = off' \
		--command="SELECT count(*) FROM (SELECT FROM $episodes ORDER BY embedding <=> array_fill(0.5::real, ARRAY[384])::vector LIMIT 10) x")" 10
}

# word TYPED CONTENT: whether a search for TYPED finds CONTENT.
word() { same "\"$1\" in \"$2\"" "$(as_program --set=typed="$1" --set=content="$2" <<<"SELECT nexus_memory.episode_words(:'content') @@ nexus_memory.episode_query(:'typed')")" "$3"; }

words_of_two_languages() {
	word canciones "Escribió una canción anoche" t
	word informacion "La información llegó tarde" t
	word información "la informacion llego tarde" t
	word anos "Hace muchos años" t
	word "running dog" "The dogs ran; one runs still, running home" t
	word '"dog house"' "a house for a dog" f
	word gato "The dogs ran" f
	# A type that the caller's own temporary table hides.
	same "a search beside a table called text" "$(as_program --command='CREATE TEMPORARY TABLE text (a int)' --command="SELECT nexus_memory.episode_words('perros') @@ nexus_memory.episode_query('perro')")" t
	# Longer than a tsvector may be: stored all the same.
	as_program --command="INSERT INTO $episodes (content) SELECT 'check: ' || string_agg(md5(i::text), ' ') FROM generate_series(1, 100000) i"
}

migrating_again_changes_nothing() {
	local before after
	before=$(docker exec nexus-postgres pg_dump --schema-only --restrict-key=x nexus | sha256sum)
	docker exec nexus-postgres bash /nexus/migrate.sh
	after=$(docker exec nexus-postgres pg_dump --schema-only --restrict-key=x nexus | sha256sum)
	same "the schema's digest" "$after" "$before"
}

redis_keeps_what_has_no_end() {
	same "its policy" "$(redis CONFIG GET maxmemory-policy | tail -n 1)" volatile-lru
	same "appendonly" "$(redis CONFIG GET appendonly | tail -n 1)" yes
	same "its port" "$(redis CONFIG GET port | tail -n 1)" 0
	same "the health user's GET" "$(redis-cli -s /run/nexus/redis/redis.sock --no-auth-warning --user health --pass x GET a)" "NOPERM User health has no permissions to run the 'get' command"
}

# What must survive: how many rows, and a key.
mark() { redis SET check:mark here >/dev/null && as_owner --command="SELECT count(*), sum(hashtext(content)) FROM $episodes"; }
all_is_back() {
	await 90 healthy
	same "the rows" "$(as_owner --command="SELECT count(*), sum(hashtext(content)) FROM $episodes")" "$1"
	same "the key" "$(redis GET check:mark)" here
}

stop_and_start() {
	local before
	before=$(mark)
	systemctl stop nexus.target
	# The target is down at once, and what belongs to it goes down after.
	await 60 inactive
	same "containers after a stop" "$(docker ps --quiet --filter name=nexus-)" ""
	same "how PostgreSQL ended" "$(docker logs nexus-postgres 2>&1 | grep -c 'database system is shut down')" 1
	systemctl start nexus.target
	await 60 systemctl is-active --quiet nexus-stack.service
	systemctl is-active --quiet nexus-backup.timer
	all_is_back "$before"
}

inactive() { [[ -z $(systemctl list-units --no-legend --plain --state=active,activating,deactivating 'nexus-*' 'nexus.target') ]]; }

kill_containers() {
	local before pids
	before=$(mark)
	mapfile -t pids < <(docker top nexus-postgres -eo pid | tail -n +2 && docker top nexus-redis -eo pid | tail -n +2)
	kill -KILL "${pids[@]}"
	await 30 none_alive "${pids[@]}"
	all_is_back "$before"
}
none_alive() { ! kill -0 "$@"; }

kill_docker() {
	local before
	before=$(mark)
	kill -KILL "$(systemctl show --property=MainPID --value docker.service)"
	await 30 docker info
	all_is_back "$before"
	systemctl is-active --quiet nexus-stack.service
}

# What an upgrade of Docker does: stop, then start.
upgrade_docker() {
	local before
	before=$(mark)
	systemctl stop docker.socket docker.service
	systemctl start docker.service
	all_is_back "$before"
	systemctl is-active --quiet nexus-stack.service
}

tidy_up() {
	as_owner --command="DELETE FROM $episodes WHERE content LIKE 'check: %'"
	redis DEL check:mark >/dev/null
	systemctl reset-failed
}

check system_runs
check no_port
check outside_the_group
check inside_the_group
check containers_are_confined
check agents_see_their_own
check program_cannot_get_round
check no_text_in_a_log
check many_rows
check searches_use_their_index
check nearest_of_ones_own
check words_of_two_languages
check migrating_again_changes_nothing
check redis_keeps_what_has_no_end
check stop_and_start
check kill_containers
check kill_docker
check upgrade_docker
check no_secret_shows
check tidy_up
check system_runs
report
