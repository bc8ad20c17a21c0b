# Functions for every part: messages, exits, root, files.
# shellcheck shell=bash source-path=SCRIPTDIR disable=SC2154,SC2034 # what one part sets, another reads

. "${BASH_SOURCE[0]%/*}/printable.sh"

step=''

# Without these traps bash runs the EXIT trap after a signal with $? = 0, or not at all.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Writes standard input, which may be a server's or a unit's text, to standard error. Indents each line, so that none can fake a
# message of ours.
quoted() { printable_lines | sed --unbuffered 's/^/  /' >&2; }

# guarded COMMAND…: runs it, and treats its standard error as untrusted text.
guarded() { { "$@" 2>&1 >&3 3>&- | quoted; } 3>&1; }

say() { printable "$*"; }
complain() { printable "${program##*/}: $*" >&2; }

# stop CODE TEXT: exits; TEXT says what failed, the cause and the remedy.
stop() {
	complain "$2"
	exit "$1"
}

# doing STEP: reports the current step, and stores it for explain_the_end.
doing() {
	step=$1
	if [[ -n $step ]]; then say "== $step"; fi
}

# Runs on EXIT. Every step can be repeated, so there is nothing to undo.
explain_the_end() {
	local status=$?
	if ((status != 0)) && [[ -n $step ]]; then
		complain "stopped while $step; the cause is above. Mend it and run $program again: it goes on from what is done, and loses nothing."
	fi
}

# need_root COMMAND ARGUMENT…: executes it as root, unless this is root already.
need_root() {
	((EUID != 0)) || return 0
	command -v sudo >/dev/null || stop 77 "this needs root, and sudo is not installed: run it as root (su -c '$program')"
	# sudo drops variables that it does not know.
	exec sudo -- ${NEXUS_USER:+env "NEXUS_USER=$NEXUS_USER"} "$@"
}

# Allows one installation at a time. The lock ends with this process and its children, which may live a moment longer after a kill.
lock_installation() {
	install -d --mode=0711 --owner=root --group=root "${setups_lock%/*}"
	# A user that can open it can lock it.
	(umask 077 && : >>"$setups_lock")
	exec {lock}>>"$setups_lock"
	flock --wait 5 "$lock" || stop 75 "another nexus-setup is at work here: try again when it is done"
}

# at_least HAVE WANT: whether the version HAVE is WANT or newer.
at_least() { printf '%s\n%s\n' "$2" "$1" | sort --check=quiet --version-sort; }

# put FILE MODE OWNER:GROUP: replaces FILE by standard input, atomically. No other user can read the partial file.
put() (
	umask 077
	part=$(mktemp "${1%/*}/.${1##*/}.partial.XXXXXX")
	trap 'rm -f "$part"' EXIT
	cat >"$part"
	chown "$3" "$part"
	chmod "$2" "$part"
	sync "$part"
	mv -T "$part" "$1"
)

# Like put, but keeps a file with the same content: containers have it mounted, and see a new file only after a restart.
put_if_new() {
	local content
	content=$(cat)
	if [[ -f $1 && ! -L $1 && $(<"$1") == "$content" ]]; then own "$1" "$2" "$3"; else put "$1" "$2" "$3" <<<"$content"; fi
}

# own FILE MODE OWNER:GROUP: sets both if FILE exists. A file that was copied back may belong to root, or be readable by all.
own() {
	if [[ -f $1 && ! -L $1 ]]; then
		chown "$3" "$1"
		chmod "$2" "$1"
	fi
}

has_terminal() { [[ -r /dev/tty && -t 1 ]]; }

# agreed QUESTION: asks it on the terminal; --yes counts as yes.
agreed() {
	local answer
	[[ $yes == no ]] || return 0
	has_terminal || stop 64 "there is no terminal to ask on: say --yes if you mean it"
	read -r -p "$(printable "$1") [y/N] " answer </dev/tty
	[[ $answer == [yY] || $answer == [yY][eE][sS] ]]
}
