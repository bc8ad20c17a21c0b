# What a person may edit, in /etc/nexus: made once, and by an upgrade only added to.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

write_settings() {
	local limits memory shm old='' new
	limits=$(docker info --format '{{if .CPUCfsQuota}}yes{{else}}no{{end}}')
	# This line alone is written before an installation.
	if [[ -s $settings && $(<"$settings") != "NEXUS_USER=$jobs_user" ]]; then old=$(<"$settings"); fi
	new=$(merged_settings "$example" "$old" "NEXUS_USER=$jobs_user"$'\n'"$(sizes_for "$(memory_of_machine)" "$(nproc)" "$limits")")
	without_limits "$limits" <<<"$new" | put_if_new "$settings" 0640 "root:$jobs_user"
	if [[ -n $old ]]; then explain_settings "$old" "$new"; fi
	keep_major_version
	[[ $(setting NEXUS_METRICS) =~ ^(on|off)$ ]] || stop 78 "NEXUS_METRICS=$(setting NEXUS_METRICS) in $settings: it is on or off"
	memory=$(mebibytes "$(setting NEXUS_POSTGRES_MEMORY)")
	shm=$(mebibytes "$(setting NEXUS_POSTGRES_SHM)")
	postgres_settings "$memory" "$shm" "$(nproc)" |
		put_default /etc/nexus/postgres/postgresql.conf
	if [[ ! -e /etc/nexus/compose.override.yml ]]; then
		put /etc/nexus/compose.override.yml 0644 root:root <<-TEXT
			# Your own additions to NEXUS's containers, merged over $share/compose/docker-compose.yml.
			# No upgrade touches this file. After a change: systemctl reload nexus-stack
			services: {}
		TEXT
	fi
	if [[ ! -e /etc/nexus/postgres/local.conf ]]; then
		put /etc/nexus/postgres/local.conf 0644 root:root <<-'TEXT'
			# Your own settings for PostgreSQL; they win over postgresql.conf, and no upgrade touches this file.
			# After a change: systemctl restart nexus-stack
		TEXT
	fi
	let_jobs_write
}

# Run before any setting is used.
require_settings() {
	local refusals
	refusals=$(refused_settings "$settings")
	[[ -z $refusals ]] || stop 78 "${refusals//$'\n'/; }"
}

# setting NAME: its value in nexus.env.
setting() { setting_of "$settings" "$1"; }

# set_settings NAME=VALUE…: sets them in nexus.env, each in its place, by one rename. A value is never interpreted.
set_settings() {
	local line setting content=''
	while IFS= read -r line || [[ -n $line ]]; do
		for setting; do
			if [[ $line == "${setting%%=*}="* ]]; then line=$setting; fi
		done
		content+=$line$'\n'
	done <"$settings"
	put "$settings" 0640 "root:$jobs_user" <<<"${content%$'\n'}"
}

names_of_settings() { grep -oE '^NEXUS_[A-Z0-9_]+=' | sort -u; }

# explain_settings OLD NEW: what this version has added, with its comments and defaults, and what nothing reads any more.
explain_settings() {
	local gone
	if [[ $2 != "$1" ]]; then
		say "new settings of this version, with their defaults; they are at the end of $settings:"
		sed '/^$/d; s/^/    /' <<<"${2#"$1"}"
	fi
	gone=$(comm -23 <(names_of_settings <<<"$1") <(names_of_settings <"$example"))
	if [[ -n $gone ]]; then say "no program reads any more, and may be removed from $settings: $(tr -d = <<<"$gone" | paste -sd' ')"; fi
}

# allow_new_memory MAJOR: the next start may create an empty cluster of it, beside others or in place of a lost one.
allow_new_memory() { put "$new_memory" 0644 root:root <<<"$1"; }

# The shipped image may be of a newer PostgreSQL than the one whose cluster is here. That one goes on, until a person says otherwise.
keep_major_version() {
	local shipped major running
	shipped=$(shipped_postgres_image)
	major=$(setting NEXUS_POSTGRES_MAJOR)
	if [[ -n $(setting NEXUS_POSTGRES_IMAGE) || $shipped != *-pg* || $shipped == *-pg"$major"-* ]]; then return; fi
	running=$(docker inspect --format '{{.Config.Image}}' nexus-postgres 2>/dev/null) ||
		stop 78 "the memory is PostgreSQL $major's (NEXUS_POSTGRES_MAJOR), and this version of NEXUS comes with $shipped: name the image that you had in NEXUS_POSTGRES_IMAGE in $settings"
	set_settings "NEXUS_POSTGRES_IMAGE=$running"
	say "this version of NEXUS comes with $shipped; yours stays $running until you say: nexus-upgrade-postgres $shipped"
}

# shellcheck disable=SC2016 # Compose expands it
shipped_postgres_image() { sed -n 's/.*\${NEXUS_POSTGRES_IMAGE:-\(.*\)}.*/\1/p' "$share/compose/docker-compose.yml"; }

# merged_settings EXAMPLE OLD VALUES: OLD as it is, and after it what only EXAMPLE has, with its comments. Where OLD is empty:
# EXAMPLE. What is new takes its value from VALUES where that has one.
merged_settings() {
	local example=$1 old=$2 values=$3 line name comment='' value
	if [[ -n $old ]]; then printf '%s\n' "$old"; fi
	while IFS= read -r line; do
		name=${line%%=*}
		if [[ $line == '#'* || -z $line ]]; then
			# Headings and the words at the top are the file's already.
			if [[ -z $old ]]; then printf '%s\n' "$line"; else comment+=${line:+$line$'\n'}; fi
			if [[ -z $line || $line == '# ----'* ]]; then comment=''; fi
			continue
		fi
		if [[ -z $old ]] || ! grep -q "^$name=" <<<"$old"; then
			value=$(sed -n "s/^$name=//p" <<<"$values")
			if [[ -n $old ]]; then printf '\n%s' "$comment"; fi
			printf '%s=%s\n' "$name" "${value:-${line#*=}}"
		fi
		comment=''
	done <"$example"
}

# Compose refuses any CPU limit on a kernel that has none ("NanoCPUs can not be set").
without_limits() {
	local line
	while IFS= read -r line; do
		if [[ $1 == no && $line =~ ^(NEXUS_(POSTGRES|REDIS)_CPUS)=(.*)$ && ${BASH_REMATCH[3]} != 0 ]]; then
			complain "this kernel cannot limit a container's CPUs: ${BASH_REMATCH[1]} goes from ${BASH_REMATCH[3]} to 0"
			line=${BASH_REMATCH[1]}=0
		fi
		printf '%s\n' "$line"
	done
}

# put_default FILE, the new default on standard input: replaces a file that nobody changed; beside one that somebody did,
# leaves what is new as FILE.new.
put_default() {
	local file=$1 new shipped=$as_shipped/${1##*/}
	new=$(cat)
	if [[ ! -e $file ]] || cmp --quiet "$file" "$shipped"; then
		put_if_new "$file" 0644 root:root <<<"$new"
	elif [[ $(<"$file") != "$new" && ( ! -e $shipped || $(<"$shipped") != "$new" ) ]]; then
		put "$file.new" 0644 root:root <<<"$new"
		say "you have changed $file: it stays; what this version would write is in $file.new"
	fi
	put_if_new "$shipped" 0600 root:root <<<"$new"
}

# The units may write below /var/lib/nexus alone; a person may want the sets on another disk.
let_jobs_write() {
	local sets proofs
	sets=$(place_of NEXUS_BACKUP_DIR)
	proofs=$(place_of NEXUS_PROOFS_DIR)
	let_write nexus-backup "$sets" "$sets $proofs"
	let_write nexus-restore-test "$proofs" "$sets $proofs"
	# It must run even if a disk is missing, and then above all.
	let_write nexus-health "-$sets" ''
}

place_of() {
	local place
	place=$(setting "$1")
	[[ $place == /* ]] || stop 78 "$1=$place in $settings: it must be a path that begins with /"
	[[ -d $place ]] || install -d --mode=0700 --owner="$jobs_user" --group="$jobs_user" "$place"
	printf '%s' "$place"
}

# let_write UNIT PLACE MOUNTS: lets UNIT write in PLACE, and start only after the disks of MOUNTS are mounted.
let_write() {
	local file
	file=$(drop_in "$1")
	if [[ $sets == /var/lib/nexus/* && $proofs == /var/lib/nexus/* ]]; then
		remove_drop_in "$file"
		return
	fi
	install -d --mode=0755 "${file%/*}"
	put "$file" 0644 root:root <<-TEXT
		# Written by nexus-setup, because NEXUS_BACKUP_DIR or NEXUS_PROOFS_DIR in $settings is elsewhere.
		[Unit]
		RequiresMountsFor=$3
		[Service]
		ReadWritePaths=$2
	TEXT
}
