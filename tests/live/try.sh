#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Does what a person does with NEXUS, from the installation to a lost and restored memory; `install.sh --try` runs it in a throwaway
# machine. It drops a database on purpose: do not run it on a machine in use.
set -euo pipefail
shopt -s inherit_errexit
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

clone=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
identity=/root/owner-identity.txt
memory=nexus_memory.zep_episodic_memory
# The model from install.sh --try; without it, searches are by words only.
model=none
for folder in "$clone"/model/*/; do if [[ -d $folder ]]; then model=$folder; fi; done
declare -A took
export SYSTEMD_PAGER=

heading() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
# show LINE: prints a command as a person would type it, and runs it.
show() {
	printf '$ %s\n' "$1"
	bash -c "$1"
}
# timed NAME COMMAND…: runs it, and stores its seconds in took[NAME].
timed() {
	local name=$1 from=$EPOCHREALTIME
	shift
	"$@"
	took[$name]=$(awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }')
}

# So many of Debian's fortunes go through the API, each with its vector at once. The rest, about 23,000, go in by SQL, like a program
# without vectors: the backfill adds those meanwhile.
through_the_api=3000

load_the_rest() {
	local csv
	csv=$(mktemp)
	python3 -B "$clone/tests/live/fortunes.py" rest "$through_the_api" >"$csv"
	as_program --command='CREATE TEMPORARY TABLE fortune (content text, language text, file text)' \
		--command="\\copy fortune FROM '$csv' (FORMAT csv)" \
		--command="INSERT INTO $memory (content, tags, metadata)
			SELECT content, ARRAY[language, file], jsonb_build_object('action_type', 'fortune', 'file', file) FROM fortune"
	rm -f "$csv"
}

api=http://127.0.0.1:8003
# search MODE QUERY: prints the best three, for people.
search() {
	printf '\n$ curl -s %s/memory/search --json '"'"'{"query": "%s", "mode": "%s", "limit": 3}'"'"'\n' "$api" "$2" "$1"
	answer "$1" "$2" | jq --raw-output '.results[] | "  \(.similarity_score * 100 | round) %  \(.content | gsub("\\s+"; " ") | if length > 150 then .[:149] + "…" else . end)"'
}
answer() {
	curl --silent --show-error --fail-with-body "$api/memory/search" --json "$(jq --null-input --arg mode "$1" --arg query "$2" '{$mode, $query, limit: 3, min_similarity: 0.3}')"
}
# The ids from three kinds of search, in two languages.
questions=(
	'vector|money does not make anybody happy'
	'vector|advice for programmers who blame the compiler'
	'text|canciones'
	'text|amor mujer corazón'
	'hybrid|a cat sleeping in the sun'
	'hybrid|la vida es un sueño'
)
ask_all() {
	local question
	for question in "${questions[@]}"; do "$1" "${question%%|*}" "${question#*|}"; done
}
# The result of a search by words does not depend on the progress of the backfill.
words_found() { answer text canciones | jq --raw-output '.results[].episode_id'; }

# The timer would first run in a minute.
start_the_backfill() { systemctl start --no-block nexus-embed-backfill; }
# Stops the backfill, so that the rows do not change while they are compared.
hold_the_backfill() { systemctl stop nexus-embed-backfill.timer nexus-embed-backfill; }
let_the_backfill_go_on() { systemctl start nexus-embed-backfill.timer && start_the_backfill; }

with_a_vector() { as_owner --command="SELECT count(embedding) FROM $memory"; }

# Prints a digest of all rows, in the order of their keys.
content() { as_owner --command="COPY (SELECT * FROM $memory ORDER BY episode_id) TO STDOUT" | sha256sum | cut -d' ' -f1; }
rows() { as_owner --command="SELECT count(*) FROM $memory"; }

wipe() {
	docker exec nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=postgres \
		--command='DROP DATABASE nexus WITH (FORCE)' --command='CREATE DATABASE nexus'
}

size_of() { du --summarize --bytes "$1" | cut -f1 | numfmt --to=iec --suffix=B; }

heading "Installing"
timed install "$clone/install.sh" --bin-dir "$clone/bin" --yes --owner-identity "$identity" --model "$model"

heading "Storing Debian's fortunes, English and Spanish: $through_the_api through the API, the rest by SQL"
show "curl -s $api/health | jq --compact-output"
timed api python3 -B "$clone/tests/live/fortunes.py" store "$through_the_api"
echo "$(with_a_vector) of them with a vector at once"
timed rest load_the_rest
start_the_backfill
as_owner --field-separator=' ' --command="SELECT tags[1] || ':', count(*), 'episodes,', pg_size_pretty(sum(octet_length(content))) FROM $memory GROUP BY tags[1] ORDER BY 1"

heading "Searching: by meaning in English, by words in Spanish, both at once"
ask_all search
found=$(words_found)
[[ -n $found ]] || { echo "the search for «canciones» finds nothing" >&2 && exit 1; }

hold_the_backfill
before_rows=$(rows)
before=$(content)

heading "A backup, by systemd"
timed backup show "systemctl start nexus-backup"
show "systemctl list-timers 'nexus-*'"
show "journalctl --lines=12 -u 'nexus-*'"
show "nexus-restore list"
mapfile -t sets < <(find /var/lib/nexus/backups -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' | sort)
set=${sets[-1]}
show "ls -l $set"
show "nexus-restore verify latest"

heading "The disaster: the database is gone"
wipe
same "leftovers" "$(as_owner --command="SELECT to_regclass('$memory')")" ""
echo "no table $memory any more"

heading "The restore, with the owner's key"
timed restore show "nexus-restore apply latest --identity $identity --yes"
# The database is complete; this sets what a dump does not contain (compose/postgres/init/0003-index-use.sql).
show "systemctl reload nexus-stack"

heading "Is it the same?"
after_rows=$(rows)
after=$(content)
printf 'before  %6s episodes  sha256 %s\nafter   %6s episodes  sha256 %s\n' "$before_rows" "$before" "$after_rows" "$after"
same "the number of episodes" "$after_rows" "$before_rows"
same "their digest" "$after" "$before"
((after_rows > 1000)) || { echo "only $after_rows episodes were loaded: are Debian's fortunes installed?" >&2 && exit 1; }
same "a program's view" "$(as_program --command="SELECT count(*) FROM $memory")" "$before_rows"
same "the API's result" "$(words_found)" "$found"
search hybrid 'the meaning of life'
let_the_backfill_go_on

heading "The next night: a backup, and does it prove itself?"
systemctl start nexus-backup
timed proof systemctl start nexus-restore-test
show "journalctl --lines=45 --output=cat -u nexus-restore-test"
proof=$(find /var/lib/nexus/proofs -name '*.json' | sort | tail -n 1)
digests='[.tables[] | {schema, table, rows, sha256}]'
same "digests of the proof" "$(jq "$digests" "$proof")" \
	"$(nexus-restore show "$(jq --raw-output .set "$proof")" --json | jq "$digests")"
same "episodes in the proof" "$(jq '.tables[] | select(.schema + "." + .table == "nexus_memory.zep_episodic_memory").rows' "$proof")" "$before_rows"
show "nexus-restore list"

heading "Summary"
printf '  %-22s %s\n' \
	"installed in" "${took[install]}" \
	"episodes" "$before_rows: $through_the_api through the API in ${took[api]}, the rest by SQL in ${took[rest]}" \
	"with a vector" "$(with_a_vector) by now; the backfill goes on" \
	"database" "$(as_owner --command='SELECT pg_size_pretty(pg_database_size(current_database()))')" \
	"backup set" "$(size_of "$set"), made in ${took[backup]}" \
	"wiped and restored in" "${took[restore]}" \
	"rows and digest" "the same as before" \
	"proven in" "${took[proof]}"
