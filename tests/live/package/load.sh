# Runs a client that stores during another command.
# shellcheck shell=bash disable=SC2154 # here and work are those of tests/live/package.sh

# while_storing NAME COMMAND…: every episode that was confirmed before, during and after the command must be in the memory.
while_storing() {
	local name=$1 client status=0 missing
	shift
	rm -f "$work/$name.stored"
	python3 -B "$here/package/writer.py" "$work/$name.stored" "$name" >"$work/$name.said" &
	client=$!
	await 60 test -s "$work/$name.stored"
	"$@" || status=$?
	# Waits until it succeeds again.
	echo mark >>"$work/$name.stored"
	await 120 stored_after_mark "$name" || status=1
	kill "$client"
	wait "$client" || status=1
	sed "s/^/   $name: /" "$work/$name.said" >&3
	missing=$(comm -23 <(grep -vx mark "$work/$name.stored" | sort) <(stored_contents | sort))
	same "lost acknowledged episodes" "$missing" ""
	return "$status"
}

stored_after_mark() { sed '1,/^mark$/d' "$work/$1.stored" | found .; }
stored_contents() { as_owner --command='SELECT content FROM nexus_memory.zep_episodic_memory'; }
