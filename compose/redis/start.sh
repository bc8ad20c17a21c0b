#!/bin/sh
# Starts Redis in its container. Before that it checks the end of the append-only file, because a power cut can leave zeros or
# half a command there. Redis drops the half command by itself (aof-load-truncated), but refuses to start with the zeros. Every
# command ends in CR LF, so zeros at the end belong to none: this script cuts off those only. With damage elsewhere Redis logs it
# and does not start.
set -eu
umask 077

data=/data/appendonlydir

# all_zeros FILE BYTES: whether its last BYTES are zeros.
all_zeros() { [ "$(tail -c "$2" "$1" | tr -d '\000' | wc -c)" -eq 0 ]; }

# zeros_at_end FILE: prints the number of zeros at its end.
zeros_at_end() {
	size=$(stat -c %s "$1") some=0 more=1
	while [ "$more" -le "$size" ] && all_zeros "$1" "$more"; do some=$more more=$((more * 2)); done
	if [ "$more" -gt "$size" ]; then more=$((size + 1)); fi
	while [ $((more - some)) -gt 1 ]; do
		half=$(((some + more) / 2))
		if all_zeros "$1" "$half"; then some=$half; else more=$half; fi
	done
	echo "$some"
}

# keep_copy FILE: copies it once, and keeps at most three copies.
keep_copy() {
	copy=/data/$(basename "$1").$(date -u -r "$1" +%Y%m%dT%H%M%SZ).damaged
	[ -e "$copy" ] || { cp "$1" "$copy.partial" && mv "$copy.partial" "$copy"; } || return
	# shellcheck disable=SC2012 # the names are ours
	ls -1t /data/*.damaged | tail -n +4 | while read -r old; do rm "$old"; done
}

# mend_end FILE: repairs the last part of the append-only file. (`set -e` has no effect inside a condition.)
mend_end() {
	zeros=$(zeros_at_end "$1")
	if [ "$zeros" -gt 0 ]; then
		keep_copy "$1" && truncate -s $(($(stat -c %s "$1") - zeros)) "$1" && sync || return
		echo "NEXUS: $1 ended in $zeros zero bytes, as a power cut leaves them. NEXUS cut them off; $copy is the original file."
	fi
	# A command substitution drops the last line end, on both sides.
	if [ -s "$1" ] && [ "$(tail -c 2 "$1")" != "$(printf '\r\n')" ]; then
		keep_copy "$1" || return
		echo "NEXUS: $1 ends within a command. Redis drops that command; $copy is the original file."
	fi
}

# The manifest names the parts in their order: `file NAME seq NUMBER type i`.
last=$(sed -n 's/^file \([^ ]*\) .*type i.*/\1/p' "$data"/*.manifest 2>/dev/null | tail -n 1)
if [ -n "$last" ] && [ -f "$data/$last" ]; then
	mend_end "$data/$last" || echo "NEXUS: $data/$last could not be repaired or copied (is the disk full?). Redis starts with the file unchanged." >&2
fi
exec redis-server "$@"
