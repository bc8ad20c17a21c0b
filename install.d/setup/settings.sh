# Writes the files in /etc/nexus that the owner may edit. An upgrade only adds to them.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

write_settings() {
	local limits memory shm old='' new
	limits=$(docker info --format '{{if .CPUCfsQuota}}yes{{else}}no{{end}}')
	# An owner may write this one line before the installation.
	if [[ -s $settings && $(<"$settings") != "NEXUS_USER=$jobs_user" ]]; then old=$(<"$settings"); fi
	new=$(merged_settings "$example" "$old" "NEXUS_USER=$jobs_user"$'\n'"$(sizes_for "$(memory_of_machine)" "$(nproc)" "$limits")")
	without_limits "$limits" <<<"$new" | put_if_new "$settings" 0640 "root:$jobs_user"
	if [[ -n $old ]]; then explain_settings "$old" "$new"; fi
	keep_major_version
	[[ $(setting NEXUS_METRICS) =~ ^(on|off)$ ]] || stop 78 "NEXUS_METRICS=$(setting NEXUS_METRICS) in $settings: expected on or off"
	memory=$(mebibytes "$(setting NEXUS_POSTGRES_MEMORY)")
	shm=$(mebibytes "$(setting NEXUS_POSTGRES_SHM)")
	postgres_settings "$memory" "$shm" "$(nproc)" |
		put_default /etc/nexus/postgres/postgresql.conf
	if [[ ! -e /etc/nexus/compose.override.yml ]]; then
		put /etc/nexus/compose.override.yml 0644 root:root <<-TEXT
			# Your own changes to NEXUS's containers, merged over $share/compose/docker-compose.yml.
			# No upgrade touches this file. After a change: systemctl reload nexus-stack
			# If you take a service of your own out again, also remove its container: docker rm --force NAME
			services: {}
		TEXT
	fi
	if [[ ! -e /etc/nexus/postgres/local.conf ]]; then
		put /etc/nexus/postgres/local.conf 0644 root:root <<-'TEXT'
			# Your own settings for PostgreSQL; they win over postgresql.conf, and no upgrade touches this file.
			# After a change: systemctl restart nexus-stack
		TEXT
	fi
	allow_jobs_to_write
}

# Stops before any setting is used, if a line would be read differently by its readers.
require_settings() {
	local refusals
	refusals=$(refused_settings "$settings")
	[[ -z $refusals ]] || stop 78 "${refusals//$'\n'/; }"
}

# setting NAME: prints its value in nexus.env.
setting() { setting_of "$settings" "$1"; }

# set_settings NAME=VALUE…: replaces their lines in nexus.env by one rename. Never interprets a value.
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

# explain_settings OLD NEW: reports the settings that this version adds, with comments and defaults, and those that nothing reads.
explain_settings() {
	local gone
	if [[ $2 != "$1" ]]; then
		say "new settings of this version with their defaults, at the end of $settings:"
		sed '/^$/d; s/^/    /' <<<"${2#"$1"}"
	fi
	gone=$(comm -23 <(names_of_settings <<<"$1") <(names_of_settings <"$example"))
	if [[ -n $gone ]]; then say "no program reads these settings any more; you may remove them from $settings: $(tr -d = <<<"$gone" | paste -sd' ')"; fi
}

# allow_new_memory MAJOR: lets the next start create an empty cluster of it, beside others or in place of a lost one.
allow_new_memory() { put "$new_memory" 0644 root:root <<<"$1"; }

# Keeps the present image if the shipped one has a newer major version of PostgreSQL. The owner decides when to upgrade.
keep_major_version() {
	local shipped major running
	shipped=$(shipped_postgres_image)
	major=$(setting NEXUS_POSTGRES_MAJOR)
	if [[ -n $(setting NEXUS_POSTGRES_IMAGE) || $shipped != *-pg* || $shipped == *-pg"$major"-* ]]; then return; fi
	running=$(docker inspect --format '{{.Config.Image}}' nexus-postgres 2>/dev/null) ||
		stop 78 "the memory was made with PostgreSQL $major (NEXUS_POSTGRES_MAJOR), and this version of NEXUS comes with PostgreSQL $shipped. In $settings, set NEXUS_POSTGRES_IMAGE to your former image"
	set_settings "NEXUS_POSTGRES_IMAGE=$running"
	say "this version of NEXUS comes with $shipped; yours stays $running until you run: nexus-upgrade-postgres $shipped"
}

# shellcheck disable=SC2016 # Compose expands it
shipped_postgres_image() { sed -n 's/.*\${NEXUS_POSTGRES_IMAGE:-\(.*\)}.*/\1/p' "$share/compose/docker-compose.yml"; }

# merged_settings EXAMPLE OLD VALUES: prints OLD, then the settings that only EXAMPLE has, with their comments. Prints EXAMPLE if OLD
# is empty. New settings take their value from VALUES, if it is there.
merged_settings() {
	local example=$1 old=$2 values=$3 line name comment='' value
	if [[ -n $old ]]; then printf '%s\n' "$old"; fi
	while IFS= read -r line; do
		name=${line%%=*}
		if [[ $line == '#'* || -z $line ]]; then
			# OLD has the headings and the introduction already.
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

# Sets CPU limits to 0 on a kernel that has none, where Compose refuses them ("NanoCPUs can not be set").
without_limits() {
	local line
	while IFS= read -r line; do
		if [[ $1 == no && $line =~ ^(NEXUS_(POSTGRES|REDIS)_CPUS)=(.*)$ && ${BASH_REMATCH[3]} != 0 ]]; then
			complain "this kernel cannot limit a container's CPUs: changing ${BASH_REMATCH[1]} from ${BASH_REMATCH[3]} to 0"
			line=${BASH_REMATCH[1]}=0
		fi
		printf '%s\n' "$line"
	done
}

# put_default FILE: replaces FILE by the new default on standard input, if the owner has not changed it. Otherwise writes the new
# default as FILE.new.
put_default() {
	local file=$1 new shipped=$as_shipped/${1##*/}
	new=$(cat)
	if [[ ! -e $file ]] || cmp --quiet "$file" "$shipped"; then
		put_if_new "$file" 0644 root:root <<<"$new"
	elif [[ $(<"$file") != "$new" && ( ! -e $shipped || $(<"$shipped") != "$new" ) ]]; then
		put "$file.new" 0644 root:root <<<"$new"
		say "you have changed $file, so it stays; the new default is in $file.new"
	fi
	put_if_new "$shipped" 0600 root:root <<<"$new"
}

# Lets the units write where the settings put sets and proofs. Without a drop-in they write only below /var/lib/nexus.
allow_jobs_to_write() {
	local sets proofs
	sets=$(place_of NEXUS_BACKUP_DIR)
	proofs=$(place_of NEXUS_PROOFS_DIR)
	allow_writes nexus-backup "$sets" "$sets $proofs"
	allow_writes nexus-restore-test "$proofs" "$sets $proofs"
	# nexus-health must run even if a disk is missing.
	allow_writes nexus-health "-$sets" ''
}

place_of() {
	local place
	place=$(setting "$1")
	[[ $place == /* ]] || stop 78 "$1=$place in $settings: it must be a path that begins with /"
	[[ -d $place ]] || install -d --mode=0700 --owner="$jobs_user" --group="$jobs_user" "$place"
	printf '%s' "$place"
}

# allow_writes UNIT PLACES MOUNTS: lets UNIT write to PLACES, and start only after the disks of MOUNTS are mounted.
allow_writes() {
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
