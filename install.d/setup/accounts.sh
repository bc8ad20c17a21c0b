# Manages NEXUS's users and groups, and the list of what NEXUS has created on this machine. Removing NEXUS removes nothing else.
# The package's scripts include this file after settings-file.sh, the only other file that it needs.
# shellcheck shell=bash

# Lines of `jobs NAME`, `user NAME UID`, `group NAME GID`, `volume NAME CREATED`. The list is trusted only if root owns it.
created_list=/var/lib/nexus/installed/made

# is_roots_file FILE: whether root owns it, and it is a regular file with a single link.
is_roots_file() { [[ $(stat --format='%u %h %F' -- "$1" 2>/dev/null) =~ ^'0 1 regular '(empty )?file$ ]]; }

# Gives /var/lib/nexus to root. Moves aside entries that the user of the jobs may have put where root or another job expects its own:
# until 0.1.0 that user owned the directory. After the first command no other user can change these names.
secure_directories() {
	local name place aside
	[[ -d /var/lib/nexus ]] || return 0
	chown root:root /var/lib/nexus
	chmod 0751 /var/lib/nexus
	for name in installed models .ledger-moving proxy backups proofs ledger alerts health metrics state state/backup; do
		place=/var/lib/nexus/$name
		case $name:$(stat --format=%F:%u -- "$place" 2>/dev/null) in
		*: | *:directory:0) continue ;;
		# A link may lead to another disk, where the owner has moved the directory. But a job may have renamed that link.
		installed:'symbolic link:0' | models:'symbolic link:0') [[ $(stat --dereference --format=%F:%u -- "$place" 2>/dev/null) != directory:0 ]] || continue ;;
		*:'symbolic link:0') continue ;;
		installed:* | models:* | .ledger-moving:*) ;;
		proxy:directory:*) [[ $(stat --format=%U -- "$place") != "$jobs_user-proxy" ]] || continue ;;
		state:directory:*) chown --no-dereference root:root "$place" && continue ;;
		*:directory:*) continue ;;
		esac
		aside=$(mktemp -d /var/lib/nexus/put-aside.XXXXXX)
		mv -T -- "$place" "$aside/${name##*/}"
		echo "nexus: $place was not what NEXUS creates there, and is in $aside now: check it, then remove it" >&2
	done
}

was_created() { is_roots_file "$created_list" && grep -qxF -- "$1" "$created_list"; }

# record_created LINE: adds it to the list, unless it is there.
record_created() {
	was_created "$1" && return
	is_roots_file "$created_list" || rm -f -- "$created_list"
	install -d --mode=0700 --owner=root --group=root "${created_list%/*}"
	printf '%s\n' "$1" >>"$created_list"
}

# field NUMBER DATABASE NAME: prints that field of the entry that getent finds.
field() { getent "$2" "$3" | cut -d: -f"$1" || true; }

# Whether the user looks like one from sysusers.d/nexus.conf: then a version that kept no list created it.
looks_created() { [[ $(field 5 passwd "$1") == "NEXUS "* && $(field 7 passwd "$1") == */nologin ]] && (($(field 3 passwd "$1") < 1000)); }

user_is_ours() { was_created "user $1 $(field 3 passwd "$1")" || { [[ ! -e $created_list ]] && looks_created "$1"; }; }
group_is_ours() {
	was_created "group $1 $(field 3 group "$1")" ||
		{ [[ ! -e $created_list ]] && looks_created "$1" && [[ $(field 4 passwd "$1") == "$(field 3 group "$1")" ]]; }
}

# Prints the account that the jobs of this machine use so far.
recorded_user() {
	local name=''
	if is_roots_file "$created_list"; then name=$(sed -n 's/^jobs //p' "$created_list" | tail -n 1); fi
	# Versions without NEXUS_USER recorded no account.
	if [[ -z $name ]] && user_is_ours nexus; then name=nexus; fi
	# The list may be a copy from another machine, and a person may have an account of that name on this one.
	if [[ $(field 7 passwd "$name") =~ /(nologin|false)$ ]]; then echo "$name"; fi
}

# Prints the values of NEXUS_USER in the environment and in nexus.env, one a line.
requested_users() { printf '%s\n' "${NEXUS_USER-}" "$(setting_of /etc/nexus/nexus.env NEXUS_USER)" | grep . || true; }

# systemd allows 31 characters, and the longest account adds -proxy.
user_name='[a-z_][a-z0-9_-]{0,24}'

# The user and group of the jobs, for every script. A recorded account wins over the settings.
jobs_user=$({ requested_users && recorded_user; } | LC_ALL=C grep -xE "$user_name" | tail -n 1 || true)
jobs_user=${jobs_user:-nexus}
accounts=("$jobs_user" "$jobs_user-api" "$jobs_user-proxy")

# Prints why NEXUS_USER cannot be used; nothing if it can.
refused_user() {
	local LC_ALL=C name
	while IFS= read -r name; do
		if ! [[ $name =~ ^$user_name$ ]]; then
			echo "NEXUS_USER is not the name of an account: write a lower-case letter or _, then lower-case letters, digits, - and _, 25 characters at most"
			return
		elif [[ $name != "$jobs_user" ]]; then
			echo "NEXUS_USER=$name, but NEXUS's files on this machine belong to the user $jobs_user: write NEXUS_USER=$jobs_user. It changes only with a new installation"
			return
		fi
	done < <(requested_users)
}

# Prints the members of the group $1, and the users whose primary group it is, except the user of that name.
others_in_group() {
	{
		field 4 group "$1" | tr , '\n'
		getent passwd | awk -F: -v gid="$(field 3 group "$1")" '$4 == gid { print $1 }'
	} | awk -v name="$1" '$0 != "" && $0 != name' | sort -u | paste -sd' '
}

# Prints the number of one process that runs as user number $1.
processes_of() { find /proc -maxdepth 1 -name '[0-9]*' -uid "$1" -printf '%f\n' -quit 2>/dev/null || true; }

# Prints why an account with a name that NEXUS needs belongs to a person or another program; nothing if NEXUS may use it.
account_in_the_way() {
	local name uid home shell others
	for name in "${accounts[@]}"; do
		if getent passwd "$name" >/dev/null; then
			if user_is_ours "$name" || looks_created "$name"; then continue; fi
			if [[ $jobs_user != nexus ]]; then echo "the user $name exists" && return; fi
			uid=$(field 3 passwd "$name") home=$(field 6 passwd "$name") shell=$(field 7 passwd "$name")
			others=$(getent passwd | awk -F: -v uid="$uid" -v name="$name" '$3 == uid && $1 != name { print $1 }' | sed -n 1p)
			case $shell in
			*/nologin | */false) ;;
			*) echo "the user $name has a login shell, ${shell:-/bin/sh}" && return ;;
			esac
			if [[ $home != /var/lib/nexus && $home != / && -d $home ]]; then echo "the user $name has a home, $home" && return; fi
			if ((uid >= 1000)); then echo "the user $name has a person's number, $uid" && return; fi
			if [[ -n $others ]]; then echo "the user $name has the same number as $others, $uid" && return; fi
			if [[ -n $(processes_of "$uid") ]]; then echo "the user $name runs programs" && return; fi
		elif getent group "$name" >/dev/null && ! group_is_ours "$name"; then
			# A group without members can still have large rights, as docker has.
			if [[ $jobs_user != nexus ]]; then echo "the group $name exists" && return; fi
			others=$(others_in_group "$name")
			if [[ -n $others ]]; then echo "the group $name has members: $others" && return; fi
		fi
	done
}

# Prints that reason and the remedies; nothing if NEXUS may use the accounts.
account_refusal() {
	local why name
	why=$(account_in_the_way)
	[[ -n $why ]] || return 0
	name=$(cut -d" " -f3 <<<"$why")
	name=${name%:}
	printf '%s: NEXUS needs the name %s for its own jobs. Nothing was changed. ' "$why" "$name"
	if [[ $jobs_user != nexus ]]; then
		printf 'Choose a name other than %s for NEXUS_USER, then run the command again' "$jobs_user"
		return
	fi
	printf 'Let NEXUS use another name (mkdir -p /etc/nexus; echo NEXUS_USER=memory >>/etc/nexus/nexus.env), then run the command again. Or do this first: '
	if getent passwd "$name" >/dev/null; then
		printf 'give yours another name, which keeps its number and files (usermod --login OTHER %s; groupmod --new-name OTHER %s)' "$name" "$name"
	else
		printf 'give the group another name, which keeps its number and members (groupmod --new-name OTHER %s), or, if an earlier NEXUS created it, remove its members (gpasswd --delete USER %s)' "$name" "$name"
	fi
}

# create_accounts COMMAND…: runs COMMAND to create the accounts, and records the new ones and the jobs' account.
create_accounts() {
	local name users groups
	users=" $(for name in "${accounts[@]}"; do if getent passwd "$name" >/dev/null && ! user_is_ours "$name"; then echo "$name"; fi; done | paste -sd' ') "
	groups=" $(for name in "${accounts[@]}"; do if getent group "$name" >/dev/null && ! group_is_ours "$name"; then echo "$name"; fi; done | paste -sd' ') "
	secure_directories
	"$@" || return
	record_created "jobs $jobs_user"
	for name in "${accounts[@]}"; do
		if [[ $users != *" $name "* ]]; then record_created "user $name $(field 3 passwd "$name")"; fi
		if [[ $groups != *" $name "* ]]; then record_created "group $name $(field 3 group "$name")"; fi
	done
}

# remove_account NAME: removes the user and group if NEXUS created them and nothing else uses them. Reports what stays on standard
# error.
remove_account() {
	local name=$1 gid others
	gid=$(field 3 group "$name")
	# Check this while the list and the user still exist.
	local ours=no
	if [[ -n $gid ]] && group_is_ours "$name"; then ours=yes; fi
	if getent passwd "$name" >/dev/null; then
		if ! user_is_ours "$name"; then
			echo "nexus: the user $name stays: it was here before NEXUS" >&2
		elif [[ -n $(processes_of "$(field 3 passwd "$name")") ]]; then
			echo "nexus: the user $name stays: programs run under it" >&2
		else
			userdel "$name" 2>/dev/null || echo "nexus: the user $name could not be removed: userdel $name" >&2
		fi
	fi
	[[ -n $gid ]] || return 0
	if ! getent group "$name" >/dev/null; then
		# userdel also removes a group of the same name.
		if [[ $ours == no ]]; then groupadd --gid "$gid" "$name"; fi
		return
	fi
	others=$(others_in_group "$name")
	if [[ $ours == no ]]; then
		echo "nexus: the group $name stays: it was here before NEXUS" >&2
	elif [[ -n $others ]]; then
		echo "nexus: the group $name stays: its members are $others" >&2
	elif ! getent passwd "$name" >/dev/null; then
		groupdel "$name"
	fi
}
