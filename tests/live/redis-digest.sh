#!/usr/bin/env bash
# Tests the digest of Redis's content on an installed machine, with throwaway servers of the live image and every type in every encoding.
# A restore does not change the digest, whatever the server's limits; each single change does. Needs the example redis-digest of
# nexus-redis: redis-digest.sh PROGRAM
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR
. "$here/checks.sh"

program=$(readlink -f "$1")
work=$(mktemp -d)
trap 'docker rm --force --volumes digest-one digest-packed digest-spread digest-changed >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
image=$(docker inspect --format '{{.Image}}' nexus-redis)
# Later than the end of this test.
cutoff=$((($(date +%s) + 3600) * 1000))

everything_small=(--hash-max-listpack-entries 0 --set-max-intset-entries 0 --set-max-listpack-entries 0
	--zset-max-listpack-entries 0 --list-max-listpack-size 1 --stream-node-max-entries 1 --rdbcompression no --rdbchecksum no)
everything_large=(--hash-max-listpack-entries 100000 --hash-max-listpack-value 100000 --set-max-intset-entries 100000
	--set-max-listpack-entries 100000 --set-max-listpack-value 100000 --zset-max-listpack-entries 100000
	--zset-max-listpack-value 100000 --list-max-listpack-size -5 --list-compress-depth 1)

# server NAME [OPTION…]: starts a server from $work/NAME/dump.rdb, if that exists.
server() {
	local name=$1
	install -d -m 777 "$work/$name"
	docker run --detach --name "digest-$name" --pull never --network none --user 999:1000 --volume "$work/$name:/throwaway" "$image" \
		redis-server --port 0 --unixsocket /throwaway/redis.sock --unixsocketperm 777 --dir /throwaway --save '' --repl-diskless-sync-delay 0 "${@:2}" >/dev/null
	await 60 answers "$name"
}
answers() { [[ $(docker exec "digest-$1" redis-cli -s /throwaway/redis.sock PING) == PONG ]]; }

# in_redis NAME: runs the commands on standard input; none may fail.
in_redis() {
	local said
	said=$(grep -v '^#' | docker exec -i "digest-$1" redis-cli -s /throwaway/redis.sock)
	if grep -E '^(ERR|\(error\)|[A-Z]+ )' <<<"$said" | grep -vE '^OK' >&2; then return 1; fi
}

digest() { "$program" "$work/$1/redis.sock" "$cutoff"; }
# copy FROM TO: saves the content of FROM as the start of TO.
copy() {
	install -d -m 777 "$work/$2"
	docker exec "digest-$1" redis-cli -s /throwaway/redis.sock --rdb /throwaway/copy.rdb >/dev/null 2>&1
	mv "$work/$1/copy.rdb" "$work/$2/dump.rdb"
	chmod 644 "$work/$2/dump.rdb"
}
encodings() { docker exec "digest-$1" redis-cli -s /throwaway/redis.sock EVAL "$(<"$here/redis-digest/encodings.lua")" 0; }

every_type_is_there_in_every_encoding() {
	server one
	in_redis one <"$here/redis-digest/everything.redis"
	same "encodings" "$(encodings one | tr '\n' ' ')" "hash/hashtable hash/listpack hash/listpackex list/listpack list/quicklist set/hashtable set/intset set/listpack stream/stream string/embstr string/int string/raw vectorset/raw zset/listpack zset/skiplist "
	digest one >"$work/one.json"
	same "types" "$(jq -r '[.databases[].by_type | keys[]] | unique | join(" ")' "$work/one.json")" "hash list module set stream string zset"
	same "keys" "$(jq '[.databases[].keys.count] | add' "$work/one.json")" \
		"$(docker exec digest-one redis-cli -s /throwaway/redis.sock INFO keyspace | sed -nE 's/.*keys=([0-9]+).*/\1/p' | awk '{ sum += $1 } END { print sum }')"
	same "libraries of functions" "$(jq .functions.count "$work/one.json")" 2
}

asking_again_gives_the_same() { same "the second digest" "$(digest one)" "$(<"$work/one.json")"; }

# Other limits change how everything is stored, but not the content.
other_limits_give_the_same() {
	copy one spread
	same "the digest of the file" "$("$program" "$work/spread/dump.rdb" "$cutoff")" "$(<"$work/one.json")"
	server spread "${everything_small[@]}"
	same "encodings" "$(encodings spread | grep -E '^(hash|set|zset)' | tr '\n' ' ')" "hash/hashtable set/hashtable zset/skiplist "
	same "the digest when spread out" "$(digest spread)" "$(<"$work/one.json")"
	copy spread packed
	server packed "${everything_large[@]}"
	same "encodings" "$(encodings packed | grep -E '^(hash|zset)' | tr '\n' ' ')" "hash/listpack hash/listpackex zset/listpack "
	same "the digest when packed" "$(digest packed)" "$(<"$work/one.json")"
}

each_change_gives_a_different_digest() {
	local change before after seen
	copy one changed
	server changed
	before=$(digest changed)
	same "the digest before" "$before" "$(<"$work/one.json")"
	seen=$(sha256sum <<<"$before")
	while read -r change; do
		[[ -n $change && $change != \#* ]] || continue
		in_redis changed <<<"$change"
		after=$(digest changed | sha256sum)
		grep -qF "$after" <<<"$seen" && {
			printf 'the digest does not notice: %s\n' "$change" >&2
			return 1
		}
		seen+=$'\n'$after
	done <"$here/redis-digest/changes.redis"
	(($(wc -l <<<"$seen") > 40))
}

# The digest leaves out keys and fields that expire before the cutoff, and hashes without any other field.
keys_that_expire_before_the_cutoff_are_left_out() {
	local soon=$((cutoff - 1000)) before
	before=$(digest one)
	in_redis one <<-COMMANDS
		SET soon:key x PXAT $soon
		HSET soon:hash a 1 b 2
		HPEXPIREAT soon:hash $soon FIELDS 2 a b
		HSET hash:ending:small soon 1
		HPEXPIREAT hash:ending:small $soon FIELDS 1 soon
		HSET hash:ending:large soon 1
		HPEXPIREAT hash:ending:large $soon FIELDS 1 soon
		SELECT 9
		SET soon:alone x PXAT $soon
	COMMANDS
	same "the digest" "$(digest one)" "$before"
	same "whether it is another without the cutoff" "$([[ $("$program" "$work/one/redis.sock") != "$before" ]] && echo yes)" yes
}

# refused WORDS FILE: the program must refuse it with WORDS.
refused() {
	local status=0 said
	said=$("$program" "$2" 2>&1 >/dev/null) || status=$?
	same "the exit code for $2 ($said)" "$status" 65
	same "lines said" "$(wc -l <<<"$said")" 1
	[[ $said == *"$1"* ]]
}
damaged_files_are_refused() {
	local size at
	copy one changed
	cp "$work/changed/dump.rdb" "$work/whole.rdb"
	size=$(stat --format=%s "$work/whole.rdb")
	for at in 0 4 9 1000 $((size / 2)) $((size - 9)) $((size - 1)); do
		head -c "$at" "$work/whole.rdb" >"$work/damaged.rdb"
		refused 'truncated' "$work/damaged.rdb"
	done
	for at in 10 5000 $((size / 3)) $((size / 2)) $((size - 3)); do
		cp "$work/whole.rdb" "$work/damaged.rdb"
		flip "$work/damaged.rdb" "$at"
		refused 'at byte' "$work/damaged.rdb"
	done
	cp "$work/whole.rdb" "$work/damaged.rdb"
	echo >>"$work/damaged.rdb"
	refused 'data after the end' "$work/damaged.rdb"
	sed 's/^REDIS0012/REDIS0099/' "$work/whole.rdb" >"$work/damaged.rdb"
	refused 'version 99 is not supported' "$work/damaged.rdb"
}

# 200 MiB in one value, plain and compressed, read with 64 MiB of address space.
memory_is_flat() {
	in_redis one <<<'SETRANGE string:huge 209715199 x'
	docker exec digest-one redis-cli -s /throwaway/redis.sock CONFIG SET rdbcompression no >/dev/null
	prlimit --as=$((64 << 20)) "$program" "$work/one/redis.sock" "$cutoff" >"$work/plain.json"
	docker exec digest-one redis-cli -s /throwaway/redis.sock CONFIG SET rdbcompression yes >/dev/null
	prlimit --as=$((64 << 20)) "$program" "$work/one/redis.sock" "$cutoff" >"$work/packed.json"
	same "the digest when packed" "$(<"$work/packed.json")" "$(<"$work/plain.json")"
	in_redis one <<<'DEL string:huge'
}

# A Redis with a password tells nothing to a client without it.
no_login_is_77() {
	local status=0
	"$program" /run/nexus/redis/redis.sock >/dev/null 2>&1 || status=$?
	same "the exit code" "$status" 77
}

check every_type_is_there_in_every_encoding
check asking_again_gives_the_same
check other_limits_give_the_same
check each_change_gives_a_different_digest
check keys_that_expire_before_the_cutoff_are_left_out
check damaged_files_are_refused
check memory_is_flat
check no_login_is_77
report
