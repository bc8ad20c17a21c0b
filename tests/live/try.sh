#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# What a person does with NEXUS, from nothing to a lost and restored memory; `install.sh --try` runs it in a throwaway
# machine. It drops a database on purpose: not for a machine that somebody uses.
set -euo pipefail
shopt -s inherit_errexit
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

clone=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
identity=/root/owner-identity.txt
memory=nexus_memory.zep_episodic_memory
texts=/usr/share/games/fortunes
# What install.sh --try has brought along; without it memory is found by words alone.
model=none
for folder in "$clone"/model/*/; do if [[ -d $folder ]]; then model=$folder; fi; done
declare -A took
export SYSTEMD_PAGER=

heading() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
# show LINE: as a person would type it.
show() {
	printf '$ %s\n' "$1"
	bash -c "$1"
}
# timed NAME COMMAND…: its seconds go to took[NAME].
timed() {
	local name=$1 from=$EPOCHREALTIME
	shift
	"$@"
	took[$name]=$(awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }')
}

# Debian's fortunes as CSV: a text a record, split at the lines that are a single %. Spanish ones are below es/.
episodes_of_fortunes() {
	local file language
	find "$texts" -type f ! -name '*.dat' ! -path '*/off/*' | sort | while IFS= read -r file; do
		if [[ $file == "$texts"/es/* ]]; then language=es; else language=en; fi
		awk -v language="$language" -v file="$(basename "$file" .fortunes)" '
			function episode() {
				sub(/\n+$/, "", text)
				if (text != "") {
					gsub(/"/, "\"\"", text)
					printf "\"%s\",%s,%s\n", text, language, file
				}
				text = ""
			}
			/^%$/ { episode(); next }
			{ text = text $0 "\n" }
			END { episode() }' "$file"
	done
}

# As a program, over the socket, under row-level security. One episode in four gets a vector, as entering 26,000 in the index
# would be most of this trial's time. They are arithmetic on a hash: something to back up, and no meaning. That comes with nexus-embed.
load_episodes() {
	local csv
	csv=$(mktemp)
	episodes_of_fortunes >"$csv"
	as_program --command='CREATE TEMPORARY TABLE fortune (content text, language text, file text)' \
		--command="\\copy fortune FROM '$csv' (FORMAT csv)" \
		--command="INSERT INTO $memory (content, tags, metadata, embedding, embedding_version)
			SELECT content, ARRAY[language, file], jsonb_build_object('action_type', 'fortune', 'file', file),
				CASE WHEN has_vector THEN (SELECT array_agg((get_byte(hash, j % 32) - 127.5 + 8 * sin(j * (1 + get_byte(hash, (j + 7) % 32))))::real)::vector FROM generate_series(1, 384) j) END,
				CASE WHEN has_vector THEN 'synthetic' END
			FROM fortune, LATERAL (SELECT sha256(convert_to(content, 'UTF8')) AS hash) h, LATERAL (SELECT get_byte(hash, 0) < 64 AS has_vector) v"
	rm -f "$csv"
}

# Rows, and a digest of all that they hold, in the order of their keys.
content() { as_owner --command="COPY (SELECT * FROM $memory ORDER BY episode_id) TO STDOUT" | sha256sum | cut -d' ' -f1; }
rows() { as_owner --command="SELECT count(*) FROM $memory"; }

wipe() {
	docker exec nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=postgres \
		--command='DROP DATABASE nexus WITH (FORCE)' --command='CREATE DATABASE nexus'
}

size_of() { du --summarize --bytes "$1" | cut -f1 | numfmt --to=iec --suffix=B; }

heading "Installing"
timed install "$clone/install.sh" --bin-dir "$clone/bin" --yes --owner-identity "$identity" --model "$model"

heading "Loading Debian's fortunes, English and Spanish, each an episode"
timed load load_episodes
before_rows=$(rows)
before=$(content)
as_owner --field-separator=' ' --command="SELECT tags[1] || ':', count(*), 'episodes,', pg_size_pretty(sum(octet_length(content))) FROM $memory GROUP BY tags[1] ORDER BY 1"
echo "and a search for «canciones» as a program does it:"
as_program --command="SELECT left(replace(content, E'\n', ' '), 90) FROM $memory WHERE nexus_memory.episode_words(content) @@ nexus_memory.episode_query('canciones') LIMIT 3"

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
same "what is left" "$(as_owner --command="SELECT to_regclass('$memory')")" ""
echo "no table $memory any more"

heading "The restore, with the owner's key"
timed restore show "nexus-restore apply latest --identity $identity --yes"
# The database is whole; this asserts what a dump does not carry (compose/postgres/init/0003-index-use.sql).
show "systemctl reload nexus-stack"

heading "Is it the same?"
after_rows=$(rows)
after=$(content)
printf 'before  %6s episodes  sha256 %s\nafter   %6s episodes  sha256 %s\n' "$before_rows" "$before" "$after_rows" "$after"
same "the number of episodes" "$after_rows" "$before_rows"
same "their digest" "$after" "$before"
((after_rows > 1000)) || { echo "only $after_rows episodes were loaded: are Debian's fortunes installed?" >&2 && exit 1; }
same "what a program sees" "$(as_program --command="SELECT count(*) FROM $memory")" "$before_rows"

heading "The next night: a backup, and does it prove itself?"
systemctl start nexus-backup
timed proof systemctl start nexus-restore-test
show "journalctl --lines=45 --output=cat -u nexus-restore-test"
proof=$(find /var/lib/nexus/proofs -name '*.json' | sort | tail -n 1)
digests='[.tables[] | {schema, table, rows, sha256}]'
same "digests of the proof" "$(jq "$digests" "$proof")" \
	"$(nexus-restore show "$(jq --raw-output .set "$proof")" --json | jq "$digests")"
same "episodes in the proof" "$(jq ".counts.rows" "$proof")" "$((before_rows + 1))"
show "nexus-restore list"

heading "Summary"
printf '  %-22s %s\n' \
	"installed in" "${took[install]}" \
	"episodes" "$before_rows, $(as_owner --command="SELECT count(embedding) FROM $memory") with a vector, loaded in ${took[load]}" \
	"database" "$(as_owner --command='SELECT pg_size_pretty(pg_database_size(current_database()))')" \
	"backup set" "$(size_of "$set"), made in ${took[backup]}" \
	"wiped and restored in" "${took[restore]}" \
	"rows and digest" "the same as before" \
	"proven in" "${took[proof]}"
