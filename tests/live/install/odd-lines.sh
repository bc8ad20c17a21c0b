# Lines of nexus.env and recipients.txt as editors, other systems and other tools write them: all readers agree on a line, or setup
# refuses it with its number.
# shellcheck shell=bash disable=SC2154 # here, clone, owner and work are those of tests/live/install.sh

settings=/etc/nexus/nexus.env recipients=/etc/nexus/recipients.txt

# The refused lines with escapes, then a tab, and words of the reason.
odd_lines() {
	cat <<-'LIST'
		export T=a	begins with export
		;T=a	begins with a semicolon
		T: a	neither NAME=value nor a comment
		T	neither NAME=value nor a comment
		some words	neither NAME=value nor a comment
		 T=a	has blanks before its name
		T =a	has blanks before its name or beside its =
		T= a	has blanks before its name or beside its =
		T= 	has blanks before its name or beside its =
		T=a # b	has a # in its value
		T=#a	has a # in its value
		T=$HOME/x	has a dollar sign in its value
		T="$HOME/x"	more in it than one text in double quotes
		T="a" "b"	more in it than one text in double quotes
		T="a"b	more in it than one text in double quotes
		T="a	more in it than one text in double quotes
		T='a' 'b'	more in it than one text in single quotes
		T='it\0047s	more in it than one text in single quotes
		T='a\0134b'	more in it than one text in single quotes
		T=a\0134b	has a backslash
		T=a \0134	has a backslash
		# a comment \0134	older versions of systemd
		T=a\rU=b	control character
		T=a\tb	control character
		T=\0001a	control character
		T=Mar\0355a	is not in UTF-8
		T=\0342\0200\0234a\0342\0200\0235	looks like a blank, a quote or a dash
		T=a\0302\0240	looks like a blank, a quote or a dash
		\0357\0273\0277T=a	begins with a byte order mark
	LIST
}

# says_all FILE WORDS…: fails unless all of these are in FILE.
says_all() {
	local file=$1 words
	shift
	for words; do
		found -F -- "$words" "$file" || { printf 'it did not say "%s": %s\n' "$words" "$(tail -n 3 "$file")" >&2 && return 1; }
	done
}

# plant_odd_lines: appends all of them; sets expected to the output of --check.
plant_odd_lines() {
	local number line words
	number=$(wc -l <"$settings")
	while IFS=$'\t' read -r line words; do
		number=$((number + 1))
		printf '%b\n' "$line" >>"$settings"
		expected+=("line $number of $settings" "$words")
	done < <(odd_lines)
}

odd_lines_are_refused() {
	local expected=() status=0 planted command
	cp -a "$settings" "$work/settings"
	plant_odd_lines
	planted=$((${#expected[@]} / 2))
	nexus-setup --check >"$work/said" 2>&1 || status=$?
	same "the exit code of --check" "$status" 78
	says_all "$work/said" "${expected[@]}" "problems in /etc/nexus: $planted (see above)"
	same "refused lines" "$(grep -c '^wrong ' "$work/said")" "$planted"
	same "bytes for a terminal to obey" "$(LC_ALL=C grep -c $'[\x01-\x08\x0b-\x1f\x7f]' "$work/said" || true)" 0
	for command in "nexus-setup --yes --model none" "nexus-setup --upgrade" "nexus-setup --remote off --yes" "nexus-setup --new-memory --yes" "nexus-upgrade-postgres --finish --yes"; do
		# shellcheck disable=SC2086 # a command and its arguments
		exits 78 "${expected[0]} ${expected[1]}" $command
	done
	cp -a "$work/settings" "$settings"
	# The error without --check.
	printf 'export T=a\n' >>"$settings"
	systemctl reload nexus-stack
	journalctl --unit=nexus-stack --output=cat --lines=30 | found -F "line $(wc -l <"$settings") of $settings begins with export"
	cp -a "$work/settings" "$settings"
	exits 0 "nothing is missing" nexus-setup --check
}

# As editors on Windows write it, with blanks at the end.
windows_lines_are_read() {
	local expected
	cp -a "$settings" "$work/settings"
	expected=$(find /var/lib/nexus -mindepth 1 -maxdepth 1 -printf '%f\n' | sort)
	sed -i 's/$/\r/; s/^NEXUS_METRICS=off/NEXUS_METRICS="off"  /' "$settings"
	exits 0 "nothing is missing" nexus-setup --check
	exits 0 "NEXUS runs" nexus-setup --yes --model none
	same "the content of /var/lib/nexus" "$(find /var/lib/nexus -mindepth 1 -maxdepth 1 -printf '%f\n' | sort)" "$expected"
	systemctl start nexus-backup
	nexus-restore list >/dev/null
	cp -a "$work/settings" "$settings"
	systemctl reload nexus-stack
}

# Compares how systemd, Compose and these scripts read each line. A unit test of the helpers has the same table.
legal_lines_are_read_alike() {
	local file=$work/env written meant count=0 seen
	# shellcheck disable=SC2016 # Compose expands it
	printf 'services: { x: { image: y, labels: { t: "${T-unset}", after: "${AFTER-unset}" } } }\n' >"$work/compose.yml"
	while IFS=$'\t' read -r written meant; do
		printf '%b\nAFTER=after\n' "$written" >"$file"
		same "the refusal of $written" "$(. "$clone/install.d/setup/settings-file.sh" && refused_settings "$file")" ""
		seen=$(systemd-run --quiet --wait --pipe --property=EnvironmentFile="$file" printenv T AFTER </dev/null)
		same "$written, read by systemd" "$seen" "$meant"$'\n'after
		seen=$(docker compose --env-file "$file" --file "$work/compose.yml" config --format json </dev/null | jq --raw-output '.services.x.labels | .t, .after | gsub("\\$\\$"; "$")')
		same "$written, read by Compose" "$seen" "$meant"$'\n'after
		same "$written, read by the shell" "$(. "$clone/install.d/setup/settings-file.sh" && setting_of "$file" T)" "$meant"
		count=$((count + 1))
	done <"$here/install/settings.tsv"
	((count > 20))
}

# The reason for the refusals: systemd and Compose read those lines differently.
odd_lines_are_read_differently() {
	printf 'T=a # b\n' >"$work/env"
	same "read by systemd" "$(systemd-run --quiet --wait --pipe --property=EnvironmentFile="$work/env" printenv T </dev/null)" 'a # b'
	same "read by Compose" "$(docker compose --env-file "$work/env" --file "$work/compose.yml" config --format json | jq --raw-output .services.x.labels.t)" a
}

other_recipients_are_named() {
	local line kind number=0 expected=() status=0 wrong=0
	cp -a "$recipients" "$work/recipients"
	number=$(wc -l <"$recipients")
	while IFS=$'\t' read -r line kind; do
		number=$((number + 1))
		printf '%s\n' "$line" >>"$recipients"
		[[ -n $kind ]] || continue
		wrong=$((wrong + 1))
		expected+=("line $number of $recipients is $kind: NEXUS encrypts to age's own keys only")
		printf '%s\n' "$line" >"$work/one"
		# nexus-backup uses the same words at night.
		exits 78 "line 1 is $kind. NEXUS encrypts to age's own keys only" nexus-backup --recipients "$work/one"
	done <"$here/install/recipients.tsv"
	nexus-setup --check >"$work/said" 2>&1 || status=$?
	same "the exit code of --check" "$status" 78
	says_all "$work/said" "${expected[@]}"
	same "refused lines" "$(grep -c '^wrong ' "$work/said")" "$wrong"
	same "identities in its output" "$(grep -ciE 'AGE-SECRET-KEY-1[A-Z0-9]' "$work/said" || true)" 0
	exits 78 "${expected[0]}" nexus-setup --yes --model none
	cp -a "$work/recipients" "$recipients"
	exits 0 "nothing is missing" nexus-setup --check
}

a_short_token_is_named() {
	local token=/etc/nexus/credentials/api_token
	cp -a "$token" "$work/token" 2>/dev/null || true
	echo secret >"$token"
	exits 78 "$token has fewer than 32 characters" nexus-setup --check
	rm "$token"
	[[ ! -e $work/token ]] || cp -a "$work/token" "$token"
	exits 0 "nothing is missing" nexus-setup --check
}

# refused_owner IDENTITY: runs setup's check of it.
refused_owner() (
	program=nexus-setup recipients=/nowhere owner_identity=$1
	. "$clone/install.d/setup/say.sh"
	. "$clone/install.d/setup/recipients.sh"
	. "$clone/install.d/setup/secrets.sh"
	choose_owner
)

owners_of_other_kinds_are_refused() {
	printf 'age-encryption.org/v1\n-> scrypt c2FsdA 18\n' >"$work/identity"
	exits 78 "holds no age identity that is not locked with a passphrase" refused_owner "$work/identity"
	# Simulates a future age-keygen.
	# shellcheck disable=SC2317 # called by what is sourced
	age-keygen() { echo age1pq1qqqq; }
	exits 78 "the owner's identity goes with a post-quantum recipient (age1pq1…): NEXUS encrypts to age's own keys only" refused_owner "$work/identity"
}

# The user who wrote the identity can open every set.
owners_of_other_users_are_refused() {
	local identity=$work/identity nobody
	nobody=$(id --user nobody)
	rm -f "$identity"
	age-keygen -o "$identity" 2>/dev/null
	exits 0 "opens the backups: age1" refused_owner "$identity"
	chown nobody "$identity"
	exits 77 "$identity belongs to nobody, who could then open every backup" refused_owner "$identity"
	SUDO_UID=$nobody exits 0 "opens the backups: age1" refused_owner "$identity"
	ln -s "$identity" "$work/link"
	exits 77 "belongs to nobody" refused_owner "$work/link"
	chown root "$identity"
	chmod 0620 "$identity"
	exits 77 "users other than root can write" refused_owner "$identity"
	mkfifo "$work/pipe"
	exits 78 "not a regular file" refused_owner "$work/pipe"
	# Another file replaces it as soon as it exists.
	# shellcheck disable=SC2317 # called by what is sourced
	age-keygen() {
		command age-keygen "$@" || return
		if [[ $1 == -o ]]; then command age-keygen 2>/dev/null | install --owner=nobody --mode=0600 /dev/stdin "$2"; fi
	}
	exits 77 "belongs to nobody" refused_owner "$work/made"
	rm -f "$work"/{identity,link,pipe,made}
}
