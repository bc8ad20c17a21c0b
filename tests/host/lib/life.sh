# A machine's life cycle: up, reboot, kill, down, status. A machine is $hosts/NAME and a cage of that name:
#   root/        its disk
#   options      the nspawn options of the last start, one a line
#   console.log  its console during the last start
# shellcheck shell=bash

: "${hosts:?}"

# Allows one command at a time for each machine. The file stays, because removing a lock that others wait for is a race.
lock_machine() {
	mkdir -p /run/lock
	exec 8>"/run/lock/$(cage_unit "$1").lock"
	flock --nonblock 8 || {
		say "waiting for another command on '$1'"
		flock --wait 300 8 || die "another command has held '$1' for 5 minutes: see 'fuser -v /run/lock/$(cage_unit "$1").lock'"
	}
}

up_machine() {
	local name=$1 options=() home=$hosts/$1
	shift
	while (($#)); do
		[[ $# -ge 2 ]] || usage_error "unknown option '$1' of up, or no value after it"
		case $1 in
		--bind) options+=("$(bind_option "$2")") ;;
		--device) options+=("$(device_option "$2")") ;;
		*) usage_error "unknown option '$1' of up" ;;
		esac
		shift 2
	done
	need_for_boot
	lock_machine "$name"
	# An earlier command may be starting or stopping it.
	if cage_is_alive "$name"; then await 120 has_settled "$name" || true; fi
	if cage_is_alive "$name"; then
		((${#options[@]} == 0)) || [[ $(printf '%s\n' "${options[@]}") == "$(cat "$home/options")" ]] ||
			die "'$name' is already up, with other binds and devices: 'machine down $name' or 'machine kill $name' first"
		await_up "$name" "$home/console.log"
		say "'$name' is already up"
		return
	fi
	[[ -d $home/root ]] || make_disk "$name"
	# Without options, use those of the last start.
	if ((${#options[@]})) || [[ ! -e $home/options ]]; then printf '%s\n' "${options[@]}" >"$home/options"; fi
	start "$name"
	say "'$name' is up"
}

bind_option() {
	local source=${1%%:*} rest=${1#*:} kind=bind
	[[ $1 == *:* ]] || usage_error "--bind needs HOST:GUEST[:ro], not '$1'"
	if [[ $rest == *:ro ]]; then kind=bind-ro rest=${rest%:ro}; fi
	[[ -e $source ]] || die "cannot bind $source: there is no such file here"
	[[ $rest == /* && $rest != *:* ]] || usage_error "--bind needs an absolute path inside, not '$rest'"
	printf -- '--%s=%s:%s' "$kind" "$(realpath -- "$source")" "$rest"
}

device_option() {
	[[ -c $1 || -b $1 ]] || die "cannot pass $1 to the machine: it is not a device of this host (is its kernel module loaded?)"
	printf -- '--bind=%s' "$1"
}

make_disk() {
	local home=$hosts/$1 image
	mkdir -p "$home"
	rm -rf --one-file-system "$home/root.partial"
	hold_image
	image=$(image_directory)
	cp -a --reflink=auto "$image/root" "$home/root.partial"
	exec 9>&-
	printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost\n' "$1" >"$home/root.partial/etc/hosts"
	mv "$home/root.partial" "$home/root"
}

start() {
	local home=$hosts/$1 options
	mapfile -t options <"$home/options"
	boot "$1" "$home/root" "$home/console.log" ${options[0]:+"${options[@]}"}
	await_up "$1" "$home/console.log"
}

reboot_machine() {
	local name=$1 code=0
	lock_machine "$name"
	is_up "$name"
	inside "$name" systemctl reboot || code=$?
	# Above 128, the machine was down before this command ended.
	((code == 0 || code > 128)) || die "'$name' refuses to reboot: the cause is above; to force it: 'machine kill $name'"
	await 120 cage_is_empty "$name" ||
		die "'$name' did not go down in 2 minutes: see 'machine exec $name -- systemctl list-jobs', or 'machine kill $name'"
	start "$name"
	say "'$name' is up again"
}

kill_machine() {
	lock_machine "$1"
	[[ -d $hosts/$1 ]] || die "there is no machine '$1' to kill: see 'machine status'"
	cage_kill "$1"
	say "'$1' lost its power"
}

down_machine() {
	lock_machine "$1"
	cage_kill "$1"
	rm -rf --one-file-system "${hosts:?}/$1"
	say "'$1' is gone"
}

show_status() {
	local home name state pid
	printf '%-24s %-8s %8s %8s\n' NAME STATE PID DISK
	for home in "$hosts"/*/; do
		[[ -d $home ]] || continue
		name=$(basename "$home") state=stopped pid=-
		if cage_is_alive "$name"; then state=starting; fi
		if pid=$(leader_of "$name"); then state=running; else pid=-; fi
		[[ -d $home/root ]] || state=broken
		printf '%-24s %-8s %8s %8s\n' "$name" "$state" "$pid" "$(du -sh --one-file-system "$home" 2>/dev/null | cut -f1)"
	done
	image_status
}
