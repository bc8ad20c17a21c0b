# Configures systemd for an account other than nexus: writes drop-ins for the shipped units, and files in /etc that replace the
# shipped ones of sysusers.d and tmpfiles.d. Each run derives them again from the files of this version.
# The package's scripts include this file after places.sh, say.sh and accounts.sh.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

drop_ins=/etc/systemd/system
by_setup='# Written by nexus-setup, because of NEXUS_USER in /etc/nexus/nexus.env. Every run of it overwrites this file.'

# Matches the lines of a unit that name an account.
names_account='((Socket)?(User|Group)=|Environment=PROXY_ACCOUNT=|Options=.*,gid=)nexus(-api|-proxy)?(,.*)?'

# drop_in_of UNIT-FILE: prints those lines with the accounts of this machine. Prints nothing if there are none, or if the unit is
# another program's.
drop_in_of() {
	if ! grep -q '^Documentation=man:nexus' "$1" || ! grep -qxE "$names_account" "$1"; then return 0; fi
	printf '%s\n' "$by_setup"
	sed -nE "/^\[(Service|Socket|Mount)\]$/p; s/^$names_account$/\1$jobs_user\4\5/p" "$1"
}

# with_jobs_user FILE: prints a file of sysusers.d or tmpfiles.d with the accounts of this machine.
with_jobs_user() {
	printf '%s\n' "$by_setup"
	# Doubles every blank, so that each name has one of its own on both sides.
	sed -E "/^#/d; s/[[:blank:]]/&&/g; s/([[:blank:]:])nexus(-api|-proxy)?([[:blank:]:]|$)/\1$jobs_user\2\3/g" "$1"
}

write_user_files() {
	local kind file content
	if [[ $jobs_user == nexus ]]; then return 0; fi
	for kind in sysusers tmpfiles; do
		file=/etc/$kind.d/nexus.conf
		[[ ! -e $file ]] || grep -qxF "$by_setup" "$file" ||
			stop 78 "$file replaces NEXUS's own, and NEXUS_USER=$jobs_user needs that name: rename it to nexus-local.conf, with your additions only"
		content=$(with_jobs_user "$prefix/lib/$kind.d/nexus.conf")
		install -d --mode=0755 "${file%/*}"
		put_if_new "$file" 0644 root:root <<<"$content"
	done
	for file in "$units"/*nexus-*; do
		content=$(drop_in_of "$file")
		file=$drop_ins/${file##*/}.d/10-nexus-user.conf
		if [[ -n $content ]]; then
			install -d --mode=0755 "${file%/*}"
			put_if_new "$file" 0644 root:root <<<"$content"
		else
			remove_drop_in "$file"
		fi
	done
}

remove_user_files() {
	local file
	for file in "$drop_ins"/*nexus-*.d/10-nexus-user.conf; do remove_drop_in "$file"; done
	for file in /etc/{sysusers,tmpfiles}.d/nexus.conf; do
		if [[ -e $file ]] && grep -qxF "$by_setup" "$file"; then rm "$file"; fi
	done
	# No package of Debian contains this directory.
	if [[ -d /etc/sysusers.d ]]; then rmdir --ignore-fail-on-non-empty /etc/sysusers.d; fi
}

# remove_drop_in FILE: removes it, and its directory if that is empty.
remove_drop_in() {
	rm -f -- "$1"
	if [[ -d ${1%/*} ]]; then rmdir --ignore-fail-on-non-empty -- "${1%/*}"; fi
}
