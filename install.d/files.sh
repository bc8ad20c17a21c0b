# What is installed, and where. Replaced whole by an upgrade; what a person may edit is in /etc/nexus and not here.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

share=/usr/local/share/nexus
units=/usr/local/lib/systemd/system
list_of_files=$share/installed-files

# Lines of MODE SOURCE DESTINATION.
files_to_install() {
	local name file
	for name in $(helper_names); do printf '0755 %s /usr/local/bin/%s\n' "$bin_dir/$name" "$name"; done
	while IFS= read -r file; do
		printf '0644 %s %s/compose/%s\n' "$clone/compose/$file" "$share" "$file"
	done < <(cd "$clone/compose" && find . -type f -printf '%P\n' | sort)
	printf '0644 %s %s/nexus.env.example\n' "$clone/.env.example" "$share"
	for file in "$clone"/docs/examples/*; do printf '0644 %s %s/examples/%s\n' "$file" "$share" "$(basename "$file")"; done
	for file in "$clone"/units/*.{service,socket,timer,path,target,slice}; do
		if [[ -e $file ]]; then printf '0644 %s %s/%s\n' "$file" "$units" "$(basename "$file")"; fi
	done
	# systemd reads each of these below /usr/local/lib too.
	local kind
	for kind in sysusers.d:sysusers.d tmpfiles.d:tmpfiles.d preset:systemd/system-preset catalog:systemd/catalog; do
		for file in "$clone/units/${kind%%:*}"/*; do
			if [[ -e $file ]]; then printf '0644 %s /usr/local/lib/%s/%s\n' "$file" "${kind#*:}" "$(basename "$file")"; fi
		done
	done
	for kind in man/man5:man/man5 man/man7:man/man7 man/man8:man/man8 completions/bash:bash-completion/completions \
		completions/zsh:zsh/site-functions completions/fish:fish/vendor_completions.d; do
		for file in "$clone/docs/${kind%%:*}"/*; do
			if [[ -e $file ]]; then printf '0644 %s /usr/local/share/%s/%s\n' "$file" "${kind#*:}" "$(basename "$file")"; fi
		done
	done
}

# put_files ROOT: ROOT is empty on this machine, DESTDIR for a packager.
put_files() {
	local root=$1 files mode source destination now old=''
	files=$(files_to_install)
	if [[ -z $root && -e $list_of_files ]]; then old=$(<"$list_of_files"); fi
	while read -r mode source destination; do
		install -D --mode="$mode" --no-target-directory "$source" "$root$destination"
	done <<<"$files"
	[[ -z $root ]] || return 0
	# What an earlier version had and this one has not.
	now=$(cut -d' ' -f3- <<<"$files")
	while IFS= read -r destination; do
		if [[ -n $destination ]] && ! grep -qxF "$destination" <<<"$now"; then rm -f -- "$destination"; fi
	done <<<"$old"
	put "$list_of_files" 0644 root:root <<<"$now"
}

make_users_and_directories() {
	systemd-sysusers nexus.conf
	systemd-tmpfiles --create nexus.conf
	if [[ -d /usr/local/lib/systemd/catalog ]]; then journalctl --update-catalog; fi
	install -d --mode=0755 /etc/nexus /etc/nexus/postgres
	install -d --mode=0700 "$as_shipped"
	install -d --mode=0700 /etc/nexus/credentials
	# Of a run that was killed while it wrote.
	find /etc/nexus /var/lib/nexus/installed "$share" -name '.*.partial.*' -delete
}
