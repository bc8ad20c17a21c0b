# For tests of forgetting and restoring, inside an installed machine: simulates machines in directories, each with its ledger, keys and
# sets. They use the database `lethe` in turn.
# shellcheck shell=bash disable=SC2034,SC2154 # what one part sets, another reads

work=$(mktemp -d)
export work owner

# machine NAME: switches to the ledger, keys and sets of a new machine, all empty.
machine() {
	drop_all lethe
	rm -rf "${work:?}/$1"
	install -d -m 700 "$work/$1" "$work/$1/keys" "$work/$1/sets"
	export NEXUS_CREDENTIALS=$work/$1/keys
	export ledger=$work/$1/purge-ledger.jsonl sets=$work/$1/sets
	cp -a "$keys/postgres_password" "$keys/redis_password" "$NEXUS_CREDENTIALS"
	head --bytes=32 /dev/urandom | base64 | install --mode=0600 /dev/stdin "$NEXUS_CREDENTIALS/ledger_key"
}
memory() { docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=lethe "$@"; }
# fill FROM TO KIND: recreates the database, with episodes of these numbers.
fill() {
	docker exec nexus-postgres dropdb --if-exists --force lethe
	docker exec nexus-postgres createdb lethe
	memory --command="CREATE TABLE episode (id bigint PRIMARY KEY, at timestamptz, kind text, tags text[], agent text, text text)" \
		--command="INSERT INTO episode SELECT i, now() - interval '1 day', '$3', '{}', 'a', repeat(md5(i::text), 4) FROM generate_series($1, $2) i"
}
purge() {
	nexus-purge --pg-database=lethe --purge-ledger="$ledger" --backup-dir="$sets" --table public.episode --key-column id --time-column at --type-column kind \
		--agent-column agent --redis-copies none --ttl= "$@"
}
backup() { backup_of lethe "$sets" --purge-ledger="$ledger" --proofs-dir="$work" 2>/dev/null; }
# apply MACHINE [OPTION…]: restores that machine's newest set on the current machine.
apply() { apply_with nexus-restore "$@"; }
apply_with() {
	local program=$1 from=$work/$2/sets
	shift 2
	"$program" apply "$from/$(newest "$from")" --pg-database lethe --backup-dir "$sets" --purge-ledger "$ledger" --identity "$owner" --no-redis "$@"
}
undo() { nexus-restore undo --pg-database lethe --purge-ledger "$ledger" --yes; }
