# Finds backup sets, and removes NEXUS's data. The package's postrm, which runs after its files are removed, includes this file,
# printable.sh, settings-file.sh, accounts.sh and ours.sh.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

# Prints the directory of the backup sets, without a slash at its end.
place_of_backups() {
	local place
	place=$(setting_of /etc/nexus/nexus.env NEXUS_BACKUP_DIR)
	realpath --no-symlinks --canonicalize-missing -- "${place:-/var/lib/nexus/backups}"
}

# The directories that a purge removes.
purged_places=(/etc/nexus /run/nexus /run/nexus-alerts /run/nexus-locks /var/lib/nexus)

# sets_in DIRECTORY…: prints every backup set at or below them. Recognises a set by its name and its SHA256SUMS, not by the settings.
# Leaves out paths with a line feed: a job could make one that reads like the path of another directory, which a purge then keeps.
sets_in() {
	local sums set
	while IFS= read -r -d '' sums; do
		set=${sums%/*}
		if [[ $set != *$'\n'* && ${set##*/} =~ ^[0-9]+-.*Z$ ]]; then printf '%s\n' "$set"; fi
	done < <(find -H "$@" -name SHA256SUMS -print0 2>/dev/null) | sort -u
}
count_sets() { sets_in "$@" | wc -l; }
# places_with_sets DIRECTORY…: prints the directories that contain those sets.
places_with_sets() { sets_in "$@" | sed 's,/[^/]*$,,' | sort -u; }

# Prints those directories of standard input that a purge does not remove, because they are elsewhere or only linked from there.
places_that_stay() {
	local place there
	while IFS= read -r place; do
		there=$(realpath -- "$place")
		[[ $there/ =~ ^(/etc/nexus|/run/nexus|/var/lib/nexus)/ ]] || printf '%s\n' "$there"
	done
}

# remove_all_but KEPT DIRECTORY: empties DIRECTORY, which only root can replace, except for the paths in KEPT, one a line, and their
# parents; then removes DIRECTORY if it is empty. Other users own directories in it, and may replace them with links meanwhile. find
# follows no link and removes each entry relative to the directory that it has opened; commands that take paths would follow links.
remove_all_but() {
	local kept=$1 top=$2 path said='' stays=(-false) entries
	[[ -d $top && ! -L $top ]] || return 0
	while IFS= read -r path; do
		if [[ $path == "$top" ]]; then return; fi
		[[ $path == "$top"/* && (-e $path || -L $path) ]] || continue
		stays+=(-o -path "$(as_pattern "$path")/*")
		for (( ; ${#path} > ${#top}; )); do
			stays+=(-o -path "$(as_pattern "$path")")
			path=${path%/*}
		done
	done <<<"$kept"
	# A change during one pass may need another pass.
	for _ in {1..5}; do
		mapfile -d '' -t entries < <(find "$top" -mindepth 1 -maxdepth 1 -print0)
		if ((${#entries[@]} == 0)) || said=$(find -P "${entries[@]}" -xdev -depth -ignore_readdir_race ! \( "${stays[@]}" \) -delete 2>&1); then
			rmdir --ignore-fail-on-non-empty -- "$top"
			return
		fi
	done
	printf 'nexus: %s is not removed completely:\n%s\n' "$top" "$(head -n 3 <<<"$said" | printable_lines)" >&2
}

# as_pattern PATH: prints the pattern of find that matches PATH alone.
as_pattern() { printf '%s\n' "$1" | sed 's/[][*?\\]/\\&/g'; }

# remove_data KEEP: removes databases, keys, settings, state and accounts. Unless KEEP is no, keeps every directory that holds a
# backup set, the proofs, and the user who owns them. Always keeps sets outside of NEXUS's directories.
remove_data() {
	local kept='' place proofs account
	place=$(place_of_backups)
	proofs=$(setting_of /etc/nexus/nexus.env NEXUS_PROOFS_DIR)
	kept=$(places_with_sets "${purged_places[@]}" "$place" | if [[ $1 == no ]]; then places_that_stay; else cat; fi)
	# A directory elsewhere may be on a disk that is not mounted now: keep the proofs of its sets.
	if [[ $1 != no && (-n $kept || $place != /var/lib/nexus/*) ]]; then
		kept+=$'\n'$place$'\n'/var/lib/nexus/proofs$'\n'$(realpath --no-symlinks --canonicalize-missing -- "${proofs:-/var/lib/nexus/proofs}")
	fi
	if docker info >/dev/null 2>&1; then
		remove_volumes "${memory_volumes[@]}" "${metrics_volumes[@]}"
	else
		echo "nexus: Docker does not answer, so its volumes ${memory_volumes[*]} ${metrics_volumes[*]} stay, if they exist" >&2
	fi
	for account in "${accounts[@]:1}"; do remove_account "$account"; done
	# The user of the jobs owns the sets that stay, wherever they are.
	if [[ -z $kept ]]; then remove_account "$jobs_user"; fi
	for place in "${purged_places[@]}"; do remove_all_but "$kept" "$place"; done
	# systemd stores there when each timer last ran.
	rm -f -- /var/lib/systemd/timers/stamp-nexus-*.timer
}
