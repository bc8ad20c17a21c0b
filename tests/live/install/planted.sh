#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Promise: whatever user nexus plants where root's tools write, no file of root changes its owner, mode or content, and no tool blocks.
# Runs inside an installed machine that runs no other test afterwards.
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/../checks.sh"
. "$here/../sets.sh"

state=/var/lib/nexus
run=/run/nexus/health
# On the same disk, so that a hard link can lead there.
victim=/var/lib/victim
work=$(mktemp -d)
hard_links=$(</proc/sys/fs/protected_hardlinks)
trap put_back EXIT
put_back() {
	echo "$hard_links" >/proc/sys/fs/protected_hardlinks || true
	rm -rf "$victim" "$work"
	systemctl start nexus.target
}

as_nexus() { runuser --user nexus -- "$@"; }
# Makes a file and a directory of root, before each tool runs.
make_victim() {
	rm -rf "$victim"
	install -d --mode=0755 "$victim" "$victim/directory"
	install --mode=0600 <(echo "root's") "$victim/file"
	install --mode=0644 <(echo "root's") "$victim/directory/file"
}
look_of_victim() { (cd "$victim" && find . -printf '%P %y %U:%G %m\n' | sort && sha256sum file directory/file); }
plant() {
	case $1 in
	link) as_nexus ln -s "$victim/file" "$2" ;;
	way) as_nexus ln -s "$victim/directory" "$2" ;;
	loose) as_nexus ln -s "$victim/made" "$2" ;;
	pipe) as_nexus mkfifo "$2" ;;
	directory) as_nexus mkdir "$2" ;;
	# Debian's kernel forbids hard links to other users' files; other kernels may not.
	second) as_nexus ln "$victim/file" "$2" ;;
	esac
}

# harmless PATH COMMAND…: with each kind of entry at PATH, COMMAND must end within two minutes, and the victim must stay unchanged.
kinds=(link way loose pipe directory)
if echo 0 2>/dev/null >/proc/sys/fs/protected_hardlinks; then kinds+=(second); fi
harmless() {
	local path=$1 kind status before
	shift
	for kind in "${kinds[@]}"; do
		make_victim
		before=$(look_of_victim)
		if [[ -e $path ]]; then mv -T "$path" "$work/aside"; fi
		plant "$kind" "$path"
		status=0
		timeout --kill-after=5 120 "$@" >"$work/said" 2>&1 </dev/null || status=$?
		rm -rf "$path"
		if [[ -e $work/aside ]]; then mv -T "$work/aside" "$path"; fi
		((status != 124 && status != 137)) || { printf '%s waits where a %s is planted at %s\n' "$*" "$kind" "$path" >&2 && return 1; }
		same "the victim after $* with a $kind at $path" "$(look_of_victim)" "$before"
	done
}

forget_one() {
	local id
	id=$(as_program --command="INSERT INTO nexus_memory.zep_episodic_memory (content) VALUES ('goes') RETURNING episode_id")
	nexus-purge --episode "$id" --yes
}
restore_newest() { nexus-restore apply latest --identity "$owner" --no-redis --no-safety-backup --yes; }
export owner keys && export -f as_program forget_one restore_newest

what_backups_write() {
	local name
	for name in .lock .unfinished .last.json .last.new .directory-id; do harmless "$backups/$name" nexus-backup --redis=no; done
	for name in .lock directories.json directories.new; do harmless "$state/state/backup/$name" nexus-backup --redis=no; done
}
what_a_backup_copies() {
	# The ledger is in a set, which the jobs can open with the machine's key.
	make_victim
	mv "$state/ledger/purge-ledger.jsonl" "$work/ledger"
	plant link "$state/ledger/purge-ledger.jsonl"
	nexus-backup --redis=no >/dev/null 2>&1 || true
	rm "$state/ledger/purge-ledger.jsonl"
	mv "$work/ledger" "$state/ledger/purge-ledger.jsonl"
	age --decrypt --identity "$owner" "$backups/$(newest "$backups")/ledger.jsonl.age" >"$work/copied"
	same "lines of root's in the set" "$(grep -c "root's" "$work/copied" || true)" 0
}
what_purges_write() {
	local name
	for name in .lock .purging.lock purge-ledger.jsonl purge-ledger.head purge-ledger.head.new purge-ledger.handover; do
		harmless "$state/ledger/$name" bash -euc forget_one
	done
}
what_alerts_write() {
	local name
	for name in .lock .journal.lock tested.json tested.json.partial test.json test.json.partial; do harmless "$state/alerts/$name" nexus-alert --test; done
}
what_health_reads() {
	# Some entries are on another disk, which hard links cannot reach.
	local name kinds=(link way loose pipe directory)
	for name in ports remote.json health.json; do harmless "$run/$name" nexus-health --once; done
	harmless "$run/problems.json" nexus-alert --health
	harmless "$state/alerts/tested.json" nexus-health --once
	for name in history.jsonl want-stack; do harmless "$state/health/$name" nexus-health --once; done
}
what_proofs_write() {
	local set kinds=(link pipe) number name
	set=$(newest "$backups")
	number=${set%%-*}
	for name in .lock "$number.json" "$number.json.partial"; do harmless "$state/proofs/$name" nexus-restore-test; done
}
what_restores_write() {
	local name kinds=(link way pipe)
	for name in purge-ledger.next purge-ledger.handover.new purge-ledger.kept; do
		harmless "$state/ledger/$name" bash -euc restore_newest
	done
}

# Every user can read an installed model, so it contains only files that its owner may read, from its folder.
model_of() {
	rm -rf "$models" && install -d "$models/nice-model"
	for name in config.json tokenizer.json model.safetensors; do echo '{}' >"$models/nice-model/$name"; done
}
refuses_model() {
	local settings
	settings=$(sha256sum /etc/nexus/nexus.env)
	exits 77 "$1 in $models/nice-model is a link out of that folder, or its owner cannot read it" nexus-setup --yes --model "$models/nice-model"
	same "models" "$(find "$state/models" -mindepth 1 ! -path '*/.partial*')" ""
	same "secrets that all may read" "$(grep -rlF -e "$(<"$keys/ledger_key")" -e "root:" "$state/models" || true)" ""
	same "the settings" "$(sha256sum /etc/nexus/nexus.env)" "$settings"
}
what_a_model_gives_away() {
	local models=/var/tmp/models-of-the-test name who hub
	for who in nobody root; do
		model_of
		ln -s "$keys/ledger_key" "$models/nice-model/modules.json"
		chown -h "$who" "$models/nice-model" "$models/nice-model/"*
		refuses_model modules.json
		model_of
		install -d "$models/elsewhere" && install --mode=0600 /etc/shadow "$models/elsewhere/config.json"
		ln -s ../elsewhere "$models/nice-model/1_Pooling"
		chown -h "$who" "$models/nice-model" "$models/nice-model/"*
		refuses_model 1_Pooling/config.json
	done
	# A regular file of another user, such as a hard link.
	model_of
	install --mode=0600 /etc/shadow "$models/nice-model/tokenizer_config.json"
	chown nobody "$models/nice-model"
	refuses_model tokenizer_config.json
	# The layout of Hugging Face's cache.
	model_of
	hub=$models/models--nice
	install -d "$hub/snapshots" "$hub/blobs"
	mv "$models/nice-model" "$hub/snapshots/nice-model"
	mv "$hub/snapshots/nice-model/config.json" "$hub/blobs/0123"
	ln -s ../../blobs/0123 "$hub/snapshots/nice-model/config.json"
	chown -hR nobody "$models"
	cp -a /etc/nexus/nexus.env "$work/settings"
	exits 0 "the model nice-model is in $state/models/nice-model" nexus-setup --yes --model "$hub/snapshots/nice-model"
	same "the copied files" "$(cd "$state/models/nice-model" && sha256sum --quiet --check SHA256SUMS && find . -type f -printf '%u %m %P\n' | sort)" "root 644 SHA256SUMS
root 644 config.json
root 644 model.safetensors
root 644 tokenizer.json"
	same "the folder's mode" "$(stat --format=%a "$state/models/nice-model")" 755
	rm -r "$models" "$state/models/nice-model"
	cp -a "$work/settings" /etc/nexus/nexus.env
}

# If setup followed a link, it would read the files of the owner of its target, such as root.
a_model_behind_a_link_is_refused() {
	local models=/var/tmp/models-of-the-test
	model_of
	install -d --mode=0700 "$models/private"
	cp "$models/nice-model/"* "$models/private"
	ln -s private "$models/link"
	ln -s . "$models/way"
	chown -hR nobody "$models/link" "$models/way"
	exits 77 "leads over a link to $models/private, which belongs to root" nexus-setup --yes --model "$models/link"
	exits 77 "leads over a link to $models/private, which belongs to root" env --chdir="$models" nexus-setup --yes --model way/private/
	# The folder becomes a link after that check.
	fails "$models/link has become a link" bash -c "program=test && . /usr/local/share/nexus/setup/say.sh && . /usr/local/share/nexus/setup/model.sh && copy_model $models/link $work"
	same "models" "$(find "$state/models" -mindepth 1)" ""
	rm -r "$models"
}

# A file with holes takes no room in its folder, but would fill root's disk.
a_model_of_any_length_is_not_copied() {
	local models=/var/tmp/models-of-the-test status=0
	model_of
	chown -R nobody "$models/nice-model"
	truncate --size=100G "$models/nice-model/model.safetensors"
	exits 65 "have more than 4096 MiB together" timeout 300 nexus-setup --yes --model "$models/nice-model"
	same "models" "$(find "$state/models" -mindepth 1)" ""
	rm -r "$models"
}

# Sets reader to the process that reads the model's weights, as user daemon, and stops it.
stop_the_reader() {
	local pid
	for pid in $(pgrep --exact --uid daemon cat); do
		if [[ $(readlink "/proc/$pid/fd/0") == */model.safetensors ]] && kill -STOP "$pid"; then reader=$pid; fi
	done
	[[ -n $reader ]]
}
# While a model is copied, its owner can neither see the copy, nor take anything of root's from the process that reads the model.
a_models_owner_gets_nothing_of_roots() {
	local models=/var/tmp/models-of-the-test part=$state/models/.partial reader='' setup said
	model_of
	# So large that the reader lives long enough to be stopped.
	truncate --size=400M "$models/nice-model/model.safetensors"
	chown -R daemon "$models/nice-model"
	cp -a /etc/nexus/recipients.txt "$work/recipients"
	rm /etc/nexus/recipients.txt
	ROOTS_SECRET=of-root script --quiet --return --command "nexus-setup --yes --owner-identity $owner --model $models/nice-model" "$work/terminal" >"$work/said" 2>&1 </dev/null &
	setup=$!
	await 60 stop_the_reader
	# daemon may be in the group that every user without a group has.
	said=$(setpriv --reuid=daemon --regid=nogroup --clear-groups python3 -B - "$reader" "$part/config.json" <<-'PYTHON'
		import ctypes, os, sys
		process, copy = int(sys.argv[1]), sys.argv[2]
		libc, its_handle = ctypes.CDLL(None), os.pidfd_open(process)
		# The system call is pidfd_getfd(2).
		print("descriptors:", sum(libc.syscall(438, its_handle, number, 0) >= 0 for number in range(260)))
		for path in (f"/proc/{process}/environ", copy):
		    try:
		        print(path, open(path, "rb").read())
		    except PermissionError as error:
		        print(error.strerror)
	PYTHON
	)
	same "what its owner gets" "$said" "descriptors: 0
Permission denied
Permission denied"
	same "the descriptors" "$(find "/proc/$reader/fd" -mindepth 1 -printf '%l\n' | sed 's/[0-9]*//g' | sort -u)" "/dev/null
$models/nice-model/model.safetensors
pipe:[]"
	same "the environment" "$(tr '\0' '\n' <"/proc/$reader/environ" | grep -vE '^(PATH|PWD|OLDPWD|SHLVL|_)=')" ""
	same "the terminal" "$(ps -o tty= -p "$reader")" "?"
	same "users of its group" "$(getent passwd | cut -d: -f4 | grep -cx "$(ps -o gid= -p "$reader" | tr -d ' ')" || true)" 0
	kill -KILL "$reader"
	wait "$setup" || true
	grep -q 'its owner cannot read it' "$work/said"
	cp -a "$work/recipients" /etc/nexus/recipients.txt
	same "models" "$(find "$state/models" -mindepth 1)" ""
	rm -r "$models"
}

names_in_its_home_are_not_its_own() {
	local name
	for name in installed models state; do fails "Permission denied" as_nexus mv "$state/$name" "$state/other"; done
	fails "Permission denied" as_nexus touch "$state/new"
	fails "Permission denied" as_nexus touch "$state/state/new"
	same "who owns what" "$(stat --format='%n %U %a' "$state" "$state"/{installed,models,state,state/backup,ledger})" "$state root 751
$state/installed root 700
$state/models root 755
$state/state root 755
$state/state/backup nexus 700
$state/ledger nexus 700"
}

# Root executes no text of a file that another user may write.
text_of_others_is_no_program() {
	local before=$state/installed/postgres-before
	printf '1 x|;1e touch %s/owned;s|x|\n' "$victim" >"$before"
	exits 65 "names no version and image" nexus-upgrade-postgres --back --yes
	chown nexus "$before"
	exits 64 "no older PostgreSQL" nexus-upgrade-postgres --back --yes
	rm "$before"
	test ! -e "$victim/owned"
}

# A machine from before root owned the directory.
an_older_machine_is_repaired() {
	local sum settings=/etc/nexus/nexus.env
	nexus-purge --ledger >/dev/null
	sum=$(sha256sum <"$state/ledger/purge-ledger.jsonl")
	systemctl stop nexus-purge.socket
	mv "$state"/ledger/purge-ledger.* "$state"
	rm -r "$state/ledger"
	sed -i "s|^NEXUS_PURGE_LEDGER=.*|NEXUS_PURGE_LEDGER=$state/purge-ledger.jsonl|" "$settings"
	chown nexus:nexus "$state" "$state/state"
	make_victim
	# The list of created things decides which accounts are NEXUS's own.
	as_nexus mv "$state/installed" "$state/installed.before"
	as_nexus mkdir "$state/installed"
	as_nexus ln -s "$victim/directory/made" "$state/installed/made"
	# The directory in which setup assembles the ledger.
	as_nexus ln -s "$victim/directory" "$state/.ledger-moving"
	as_nexus mv "$state/metrics" "$state/metrics.before"
	as_nexus ln -s "$victim/directory" "$state/metrics"
	as_nexus mv "$state/purge-ledger.head" "$state/head.before"
	as_nexus ln -s "$victim/file" "$state/purge-ledger.head"
	before=$(look_of_victim)
	exits 78 "is not a regular file of user nexus with a single link" nexus-setup --yes
	same "the victim" "$(look_of_victim)" "$before"
	rm "$state/purge-ledger.head"
	mv "$state/head.before" "$state/purge-ledger.head"
	exits 0 "NEXUS runs" nexus-setup --yes
	same "the victim" "$(look_of_victim)" "$before"
	same "the entries moved aside" "$(find "$state"/put-aside.* -mindepth 1 -maxdepth 1 -printf '%f\n' | LC_ALL=C sort | paste -sd' ')" ".ledger-moving installed metrics"
	same "the ledger" "$(sha256sum <"$state/ledger/purge-ledger.jsonl")" "$sum"
	same "leftovers in the old place" "$(find "$state" -maxdepth 1 -name 'purge-ledger*')" ""
	same "its setting" "$(grep '^NEXUS_PURGE_LEDGER=' "$settings")" "NEXUS_PURGE_LEDGER=$state/ledger/purge-ledger.jsonl"
	rm -r "$state"/put-aside.* "$state/installed" "$state/metrics.before"
	mv "$state/installed.before" "$state/installed"
	names_in_its_home_are_not_its_own
	nexus-purge --ledger >/dev/null
	systemctl start nexus-purge.service nexus-backup.service
}

nothing_of_roots_was_given_away() {
	same "files of nexus's elsewhere" "$(find /etc /usr /root /boot /opt /srv -xdev -user nexus)" ""
	same "files of root's in its directories" "$(find "$state"/{backups,proofs,ledger,alerts,state/backup} -user root)" ""
}

systemctl stop nexus-health.service nexus-alert-retry.timer nexus-alert-health.path nexus-backup.timer nexus-purge.timer
systemctl start nexus-backup.service
forget_one >/dev/null
check names_in_its_home_are_not_its_own
check what_backups_write
check what_a_backup_copies
check what_purges_write
check what_alerts_write
check what_health_reads
check what_proofs_write
check what_restores_write
check what_a_model_gives_away
check a_model_behind_a_link_is_refused
check a_model_of_any_length_is_not_copied
check a_models_owner_gets_nothing_of_roots
check text_of_others_is_no_program
check nothing_of_roots_was_given_away
check an_older_machine_is_repaired
report
