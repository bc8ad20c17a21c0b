# Tests removal, setup again, and purge.
# shellcheck shell=bash disable=SC2154 # here, work and deb are those of tests/live/package.sh

removed_and_taken_up_again() {
	curl --silent --fail 127.0.0.1:8003/memory/action --json '{"action_type": "note", "action_details": {"content": "stays"}}' >/dev/null
	apt_now remove nexus
	same "containers" "$(docker ps --all --quiet)" ""
	same "units" "$(systemctl list-unit-files --no-legend 'nexus*')$(find /etc/systemd -name 'nexus-*')" ""
	apt_now install "$deb"
	apt_said 'to use it again, run nexus-setup'
	nexus-setup --yes >/dev/null
	same "the row" "$(as_owner --command="SELECT content FROM nexus_memory.zep_episodic_memory WHERE content = 'stays'")" stays
	same "an enabled unit" "$(systemctl is-enabled nexus-backup.timer)" enabled
	same "a unit that the person had switched off" "$(systemctl is-enabled nexus-alert-test.timer || true)" disabled
}

# Without an answer, the backups and their user stay.
purge_keeps_backups() {
	sets >"$work/sets-before"
	apt_now purge nexus
	same "sets" "$(sets)" "$(cat "$work/sets-before")"
	apt_said 'its backups are still in /var/lib/nexus/backups'
	no_traces_since "$work/traces" '^> (file d 751 root:root /var/lib/nexus|file . [0-7]+ nexus:nexus /var/lib/nexus/(backups|proofs)(/.*)?|(user|group) nexus:.*)$'
	same "failed units" "$(systemctl --failed --no-legend)" ""
}

# A new NEXUS finds the backups, and opens them with the owner's key.
kept_backups_are_found() {
	apt_now install "$deb"
	nexus-setup --yes --owner-identity "$work/owner.txt" --model none >/dev/null
	same "sets" "$(nexus-restore verify all >/dev/null && sets)" "$(cat "$work/sets-before")"
}

purge_of_all_leaves_nothing() {
	echo 'nexus nexus/purge-backups boolean true' | debconf-set-selections
	apt_now purge nexus
	no_traces_since "$work/traces"
	same "debconf's entries" "$(debconf-show nexus)" ""
}

# sets_kept SETTING DIRECTORY: purges the package with NEXUS_BACKUP_DIR=SETTING and a set in DIRECTORY; each file of the set must stay.
sets_kept() {
	local setting=$1 directory=$2 before
	echo 'nexus nexus/purge-backups boolean false' | debconf-set-selections
	apt_now install "$deb"
	mkdir -p "$directory/000001-20260101T000000Z" /var/lib/nexus/proofs
	echo rows >"$directory/000001-20260101T000000Z/database.zst.age"
	(cd "$directory/000001-20260101T000000Z" && sha256sum database.zst.age >SHA256SUMS)
	echo proven >/var/lib/nexus/proofs/000001.json
	echo left >/var/lib/nexus/leftover
	printf 'NEXUS_BACKUP_DIR=%s\n' "$setting" >/etc/nexus/nexus.env
	chown -R nexus:nexus "$directory" /var/lib/nexus/proofs
	before=$(find "$directory"/ /var/lib/nexus/proofs -type f -exec sha256sum {} + | sort)
	apt_now purge nexus
	same "files with NEXUS_BACKUP_DIR=$setting" "$(find "$directory"/ /var/lib/nexus/proofs -type f -exec sha256sum {} + | sort)" "$before"
	same "whose they are" "$(stat --format=%U "$directory"/000001-*)" nexus
	same "other leftovers" "$(ls -d /etc/nexus /run/nexus /var/lib/nexus/leftover 2>/dev/null || true)" ""
	apt_said 'its backups are still in'
	rm -rf --one-file-system /var/lib/nexus /srv/sets
	userdel nexus
}
purge_keeps_sets_however_spelled() {
	local usual=/var/lib/nexus/backups
	sets_kept "$usual/" "$usual"
	sets_kept "\"$usual\"" "$usual"
	sets_kept "$usual  " "$usual"
	sets_kept "/var/lib//nexus/./backups" "$usual"
	sets_kept '/var/lib/nexus/back[u]ps' '/var/lib/nexus/back[u]ps'
}
# The setting names another directory, or one that is not mounted; the older sets stay in their place.
purge_keeps_sets_that_were_moved() {
	sets_kept /var/lib/nexus/new /var/lib/nexus/backups
	sets_kept /srv/new /var/lib/nexus/old/deeper
	sets_kept "" /var/lib/nexus/other
	install -d /srv/sets
	sets_kept /srv/sets /srv/sets
}

# User nexus makes a set whose path contains a line that is the path of a set in root's directory.
purge_is_not_misled_by_a_line_feed() {
	local bait=/var/lib/nexus/backups/q$'\n'/etc/nexus/000001-20260101T000000Z
	echo 'nexus nexus/purge-backups boolean false' | debconf-set-selections
	apt_now install "$deb"
	nexus-setup --yes --owner-identity "$work/owner.txt" --model none >/dev/null
	runuser --user nexus -- mkdir -p "$bait"
	runuser --user nexus -- touch "$bait/SHA256SUMS"
	apt_now purge nexus
	same "what is left of the keys" "$(ls -A /etc/nexus 2>/dev/null || true)" ""
	same "the sets that stay" "$(find /var/lib/nexus/backups -maxdepth 2 -name SHA256SUMS | wc -l)" 1
	rm -rf --one-file-system /var/lib/nexus
	userdel nexus
}

# User nexus makes a set below a directory whose name would control a terminal.
purge_prints_no_control_characters() {
	local name=$'\e]0;x\a\u202e'
	echo 'nexus nexus/purge-backups boolean false' | debconf-set-selections
	apt_now install "$deb"
	install -d "/var/lib/nexus/backups/$name/000001-20260101T000000Z"
	touch "/var/lib/nexus/backups/$name/000001-20260101T000000Z/SHA256SUMS"
	chown -R nexus:nexus /var/lib/nexus/backups
	apt_now purge nexus
	apt_said 'its backups are still in /var/lib/nexus/backups/?]0;x??, readable'
	same "escape characters" "$(grep -c $'\e' "$work/apt" || true)" 0
	rm -rf --one-file-system /var/lib/nexus
	userdel nexus
}

# During the purge, user nexus exchanges its directories with links to a directory of root with the same names. A set is below them, so
# the purge descends into them.
purge_follows_no_link() {
	local ledger=/var/lib/nexus/ledger deep=/var/lib/nexus/ledger/deep backups=/var/lib/nexus/backups victim=/var/lib/victim
	local set=000001-20260101T000000Z before directory attacker status=0 pairs=("$deep" "$ledger/link")
	echo 'nexus nexus/purge-backups boolean false' | debconf-set-selections
	apt_now install "$deb"
	for directory in "$victim" "$deep"; do
		mkdir -p "$directory"/{a..z}/d
		(cd "$directory" && touch {10000..19999} {a..z}/d/{1..200})
	done
	ln -s "$victim" "$ledger/link"
	for directory in {a..z}; do
		ln -s "$victim/$directory" "$deep/$directory.link"
		pairs+=("$deep/$directory" "$deep/$directory.link")
	done
	mkdir -p "$deep/sets/$set" "$backups/$set"
	touch "$deep/sets/$set/SHA256SUMS" "$backups/$set/SHA256SUMS"
	chown -R --no-dereference nexus:nexus "$ledger" "$backups"
	before=$(find "$victim" | sort | sha256sum)
	runuser --user nexus -- python3 -B - "$deep" "${pairs[@]}" <"$here/package/exchange.py" >"$work/exchanged" &
	attacker=$!
	await 10 grep -qx ready "$work/exchanged"
	apt_now purge nexus || status=$?
	same "the victim" "$(find "$victim" | sort | sha256sum)" "$before"
	same "the exit code of apt" "$status" 0
	same "leftovers" "$(find /etc/nexus /run/nexus /var/lib/nexus -mindepth 1 -not -path "$deep*" 2>/dev/null | sort | paste -sd' ')" \
		"$backups $backups/$set $backups/$set/SHA256SUMS $ledger /var/lib/nexus/proofs"
	# The attacker may have replaced the directory above the set by the link.
	if [[ ! -L $deep ]]; then same "leftovers in the attacked directory" "$(find "$deep" -mindepth 1 -not -path "$deep/sets*")" ""; fi
	wait "$attacker"
	(($(tail -n 1 "$work/exchanged") > 0))
	rm -rf --one-file-system /var/lib/nexus "$victim"
	userdel nexus
}
