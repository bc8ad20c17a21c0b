#!/usr/bin/env bash
# Tests the installed manual pages and completions, on a machine with man: man finds every page and formats it without a warning, and
# every unit's Documentation= names one.
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source-path=SCRIPTDIR source=../live/checks.sh
. "$here/../live/checks.sh"

units=$here/../../units

# With --man=yes systemd looks for the pages too.
verify_prints_nothing() { same "its output" "$(systemd-analyze verify --man=yes "$1" 2>&1)" ""; }

verify_misses_a_page() {
	sed 's/^Documentation=.*/Documentation=man:nexus-nobody(8)/' "$units/nexus-backup.timer" >"/run/systemd/system/nexus-backup-nobody.timer"
	sed 's/^Documentation=.*//' "$units/nexus-backup.service" >"/run/systemd/system/nexus-backup-nobody.service"
	local said
	said=$(systemd-analyze verify --man=yes nexus-backup-nobody.timer 2>&1) || true
	rm /run/systemd/system/nexus-backup-nobody.*
	[[ $said == *nexus-nobody* ]]
}

formats_in_silence() {
	same "its warnings" "$(LC_ALL=C.UTF-8 MANWIDTH=100 man --warnings "$1" 2>&1 >/dev/null)" ""
	[[ $(LC_ALL=C.UTF-8 MANWIDTH=100 man "$1" | wc --lines) -gt 10 ]]
}

# The page has each setting of the program's --help.
page_has_the_settings_of_help() {
	local page setting
	page=$(MANWIDTH=400 man "$1" | tr --squeeze-repeats ' \n' ' ')
	for setting in $("$1" --help | grep -o 'env: NEXUS_[A-Z_]*' | cut -d' ' -f2 | sort --unique); do
		[[ $page == *"$setting"* ]] || { echo "man $1 does not have $setting" >&2 && return 1; }
	done
}

bash_completes() {
	local word
	word=$(bash -c 'source "/usr/local/share/bash-completion/completions/$1"; COMP_WORDS=("$1" --hel) COMP_CWORD=1
		function=$(complete -p "$1" | grep --only-matching "\-F [^ ]*" | cut -d" " -f2); "$function" "$1" --hel "$1"; echo "${COMPREPLY[0]}"' - "$1")
	same "the completion of --hel" "$word" --help
}

for file in "$units"/*.{service,socket,timer,path,target,slice,mount}; do
	check verify_prints_nothing "$(basename "${file/@./@x.}")"
	check man --where "$(basename "$file")"
done
check verify_misses_a_page
for page in nexus nexus.env nexus-stack nexus-setup nexus-upgrade-postgres; do check formats_in_silence "$page"; done
for helper in "$here"/../../helpers/nexus-*/; do
	check formats_in_silence "$(basename "$helper")"
	check page_has_the_settings_of_help "$(basename "$helper")"
	check bash_completes "$(basename "$helper")"
	check test -s "/usr/local/share/zsh/site-functions/_$(basename "$helper")"
	check test -s "/usr/local/share/fish/vendor_completions.d/$(basename "$helper").fish"
done
for command in nexus-setup nexus-upgrade-postgres; do check bash_completes "$command"; done
report
