# Lists the files to install and where they go, for this machine and for a package, which only has another prefix. An upgrade
# replaces all of them; files that the owner may edit are in /etc/nexus instead.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

list_of_files=$share/installed-files

# files_to_install PREFIX: prints lines of MODE SOURCE DESTINATION.
files_to_install() {
	local to=$1 name file kind
	for name in $(helper_names); do printf '0755 %s %s/bin/%s\n' "$bin_dir/$name" "$to" "$name"; done
	for file in "$clone"/install.d/setup/nexus-*; do printf '0755 %s %s/sbin/%s\n' "$file" "$to" "$(basename "$file")"; done
	for file in "$clone"/install.d/setup/*.sh; do printf '0644 %s %s/share/nexus/setup/%s\n' "$file" "$to" "$(basename "$file")"; done
	while IFS= read -r file; do
		printf '0644 %s %s/share/nexus/compose/%s\n' "$clone/compose/$file" "$to" "$file"
	done < <(cd "$clone/compose" && find . -type f -printf '%P\n' | sort)
	printf '0644 %s %s/share/nexus/nexus.env.example\n' "$clone/.env.example" "$to"
	for file in "$clone"/docs/examples/*; do printf '0644 %s %s/share/nexus/examples/%s\n' "$file" "$to" "$(basename "$file")"; done
	for file in "$clone"/units/*.{service,socket,timer,path,target,slice,mount}; do
		if [[ -e $file ]]; then printf '0644 %s %s/lib/systemd/system/%s\n' "$file" "$to" "$(basename "$file")"; fi
	done
	# systemd reads each of these below /usr/local/lib too.
	for kind in sysusers.d:sysusers.d tmpfiles.d:tmpfiles.d preset:systemd/system-preset catalog:systemd/catalog; do
		for file in "$clone/units/${kind%%:*}"/*; do
			if [[ -e $file ]]; then printf '0644 %s %s/lib/%s/%s\n' "$file" "$to" "${kind#*:}" "$(basename "$file")"; fi
		done
	done
	for kind in man/man5:man/man5 man/man7:man/man7 man/man8:man/man8 completions/bash:bash-completion/completions \
		completions/zsh:zsh/"$(zsh_directory "$to")" completions/fish:fish/vendor_completions.d .:doc/nexus es:doc/nexus/es; do
		for file in "$clone/docs/${kind%%:*}"/*; do
			if [[ ${file##*/} == *nexus-bench* && $with_bench == no ]]; then continue; fi
			if [[ -f $file ]]; then printf '0644 %s %s/share/%s/%s\n' "$file" "$to" "${kind#*:}" "$(basename "$file")"; fi
		done
	done
}

# Debian's zsh reads completions of packages from a directory of their own, not from the one for /usr/local.
zsh_directory() { if [[ $1 == /usr ]]; then echo vendor-completions; else echo site-functions; fi; }

# place MODE SOURCE DESTINATION PREFIX: installs a file, and replaces the prefix in the paths that it names.
place() {
	if [[ $4 != "$prefix" ]] && grep -qIE "^prefix=$prefix\$|$share" "$2"; then
		sed "s,^prefix=$prefix\$,prefix=$4,; s,$share,$4/share/nexus,g" "$2" | install -D --mode="$1" --no-target-directory /dev/stdin "$3"
	else
		install -D --mode="$1" --no-target-directory "$2" "$3"
	fi
}

# put_files ROOT PREFIX: installs all files. ROOT is empty on this machine, DESTDIR for a packager.
put_files() {
	local root=$1 to=$2 files mode source destination now old=''
	files=$(files_to_install "$to")
	if [[ -z $root && -e $list_of_files ]]; then old=$(<"$list_of_files"); fi
	while read -r mode source destination; do
		place "$mode" "$source" "$root$destination" "$to"
	done <<<"$files"
	version_of_clone | install -D --mode=0644 --no-target-directory /dev/stdin "$root$to/share/nexus/version"
	[[ -z $root ]] || return 0
	# Remove the files that only an earlier version had.
	now=$(cut -d' ' -f3- <<<"$files")$'\n'$share/version
	while IFS= read -r destination; do
		if [[ -n $destination ]] && ! grep -qxF "$destination" <<<"$now"; then rm -f -- "$destination"; fi
	done <<<"$old"
	put "$list_of_files" 0644 root:root <<<"$now"
}

version_of_clone() { sed -n 's/^version = "\(.*\)"/\1/p' "$clone/Cargo.toml" | head -n 1; }
