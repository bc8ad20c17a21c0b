# Tests the documentation: manual pages, and every command block as written.
# shellcheck shell=bash disable=SC2034,SC2154 # what one part sets, another reads

# Runs the pages in a machine where NEXUS is installed, with its model; docs/DISASTER.md is for a machine without NEXUS.
# languages.py tests that the Spanish pages have the same commands. docs/es/CHEATSHEET.md runs too, because its commands contain texts.
part_docs() {
	local pages status=0
	mapfile -t pages < <(printf '%s\n' README.md docs/*.md docs/es/CHEATSHEET.md docs/examples/README.md | grep -vx docs/DISASTER.md)
	python3 -B tests/docs/languages.py . || status=$?
	python3 -B tests/docs/benchmarks.py --check || status=$?
	python3 -B tests/docs/record.py --check docs/first-hour.svg || status=$?
	need "${for_docs[@]}"
	installed docs
	in_machine live/memory.sh texts
	bring_man
	in_machine units/manual.sh || status=$?
	"$machine" exec "$installed_machine" -- python3 -B /root/nexus/tests/docs/run.py /root/nexus "${pages[@]}" || status=$?
	disaster
	return "$status"
}

for_docs=(man-db=man bsdextrautils=col)

# Copies man from this machine's packages, because the test machine has neither man nor a network.
bring_man() {
	local packages
	mapfile -t packages < <(dpkg-query --show --showformat='${Package}\n' man-db groff-base bsdextrautils 'libpipeline1*' 'libuchardet0*' 'libgdbm6*')
	dpkg-query --listfiles "${packages[@]}" | grep -vE '^/(usr/share/(doc|locale|man)|var)/' | sort --unique |
		tar --create --no-recursion --ignore-failed-read --files-from=- --absolute-names 2>/dev/null |
		"$machine" exec "$installed_machine" -- tar --extract --directory=/ --absolute-names --keep-directory-symlink
}

# Follows docs/DISASTER.md after a machine is lost, with a set of it on a stick, the owner's key and a new machine.
disaster() {
	local new=disaster-$$ stick before began took passed=0 failed=0
	# So that no episode gets its vector between the backup and the digest.
	"$machine" exec "$installed_machine" -- systemctl stop nexus-embed-backfill.timer nexus-embed-backfill.service
	in_machine live/memory.sh load
	"$machine" exec "$installed_machine" -- systemctl start nexus-backup
	before=$(in_machine live/memory.sh digest)
	stick=$(mktemp -d)
	# shellcheck disable=SC2016 # the machine expands it
	"$machine" exec "$installed_machine" -- bash -c 'cd /var/lib/nexus/backups && tar --create "$(ls | tail -n 1)"' | tar --extract --directory="$stick"
	"$machine" copy "$installed_machine" --from "$owner" "$logs/.owner"
	"$machine" down "$installed_machine"

	fresh "$new"
	installed_machine=$new
	"$machine" exec "$new" -- mkdir -p /media
	"$machine" copy "$new" "$stick" /media/usb
	"$machine" copy "$new" "$logs/.owner" "$owner"
	rm -rf "$stick" "$logs/.owner"
	began=$SECONDS
	"$machine" exec "$new" -- python3 -B /root/nexus/tests/docs/run.py /root/nexus docs/DISASTER.md
	took=$((SECONDS - began))
	echo "before: $before"
	echo "from a bare machine to a restored memory whose next backup is proven: $took s"
	one equal-digests test "$(in_machine live/memory.sh digest)" = "$before"
	printf '%d passed, %d failed\n' "$passed" "$failed"
	"$machine" down "$new"
	((failed == 0))
}
