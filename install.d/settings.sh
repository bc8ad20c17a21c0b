# What a person may edit, in /etc/nexus: made once, and by an upgrade only added to.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

settings=/etc/nexus/nexus.env
# Copies of what was installed, to tell a file that a person changed from one that nobody did.
as_shipped=/var/lib/nexus/installed

write_settings() {
	local limits memory shm
	limits=$(docker info --format '{{if .CPUCfsQuota}}yes{{else}}no{{end}}')
	merged_settings "$clone/.env.example" "$settings" "$(sizes_for "$(memory_of_machine)" "$(nproc)" "$limits")" |
		without_limits "$limits" | put_if_new "$settings" 0640 root:nexus
	[[ $(setting NEXUS_METRICS) =~ ^(on|off)$ ]] || stop 78 "NEXUS_METRICS=$(setting NEXUS_METRICS) in $settings: it is on or off"
	memory=$(mebibytes "$(setting NEXUS_POSTGRES_MEMORY)")
	shm=$(mebibytes "$(setting NEXUS_POSTGRES_SHM)")
	postgres_settings "$memory" "$shm" "$(nproc)" |
		put_default /etc/nexus/postgres/postgresql.conf
	if [[ ! -e /etc/nexus/compose.override.yml ]]; then
		put /etc/nexus/compose.override.yml 0644 root:root <<-'TEXT'
			# Your own additions to NEXUS's containers, merged over /usr/local/share/nexus/compose/docker-compose.yml.
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

# setting NAME: its value in nexus.env.
setting() { sed -n "s/^$1=//p" "$settings" | tail -n 1; }

# merged_settings EXAMPLE FILE SIZES: FILE as it is, and after it what only EXAMPLE has, with its comments. Where there is
# no FILE yet: EXAMPLE. What is new takes its value from SIZES where that has one.
merged_settings() {
	local example=$1 file=$2 sizes=$3 line name comment='' old='' value
	if [[ -s $file ]]; then
		old=$(<"$file")
		printf '%s\n' "$old"
	fi
	while IFS= read -r line; do
		name=${line%%=*}
		if [[ $line == '#'* || -z $line ]]; then
			# Headings and the words at the top are the file's already.
			if [[ -z $old ]]; then printf '%s\n' "$line"; else comment+=${line:+$line$'\n'}; fi
			if [[ -z $line || $line == '# ----'* ]]; then comment=''; fi
			continue
		fi
		if [[ -z $old ]] || ! grep -q "^$name=" <<<"$old"; then
			value=$(sed -n "s/^$name=//p" <<<"$sizes")
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

# drop_in UNIT: what install.sh adds to it.
drop_in() { printf '/etc/systemd/system/%s.service.d/10-nexus-places.conf' "$1"; }

# The units may write below /var/lib/nexus alone; a person may want the sets on another disk.
let_jobs_write() {
	local sets proofs
	sets=$(place_of NEXUS_BACKUP_DIR)
	proofs=$(place_of NEXUS_PROOFS_DIR)
	let_write nexus-backup "$sets" "$proofs"
	let_write nexus-restore-test "$proofs" "$sets"
	let_write nexus-health "$sets" "$proofs"
}

place_of() {
	local place
	place=$(setting "$1")
	[[ $place == /* ]] || stop 78 "$1=$place in $settings: it must be a path that begins with /"
	[[ -d $place ]] || install -d --mode=0700 --owner=nexus --group=nexus "$place"
	printf '%s' "$place"
}

# let_write UNIT PLACE READ: it writes in PLACE and needs READ to be mounted.
let_write() {
	local file
	file=$(drop_in "$1")
	if [[ $2 == /var/lib/nexus/* && $3 == /var/lib/nexus/* ]]; then
		remove_drop_in "$1"
		return
	fi
	install -d --mode=0755 "${file%/*}"
	put "$file" 0644 root:root <<-TEXT
		# Written by install.sh, because NEXUS_BACKUP_DIR or NEXUS_PROOFS_DIR in $settings is elsewhere.
		[Unit]
		RequiresMountsFor=$2 $3
		[Service]
		ReadWritePaths=$2
	TEXT
}

# Its directory stays where the person has a file of their own in it.
remove_drop_in() {
	local file
	file=$(drop_in "$1")
	rm -f "$file"
	if [[ -d ${file%/*} ]]; then rmdir --ignore-fail-on-non-empty "${file%/*}"; fi
}
