# The image cache. KEY is made of the recipe, so a changed recipe makes a new image:
#   $cache/KEY/root      the machine's disk
#   $cache/KEY/from      where its container images came from: registry or stand-in
#   $cache/KEY/summary   the same in words; written last and removed first, so an image without it is no image
# shellcheck shell=bash

: "${here:?}" "${cache:?}" "${images_from:?}"

image_directory() {
	local key
	key=$(
		cd "$here" && {
			uname -m
			find image lib/image.sh lib/sources.sh -type f | LC_ALL=C sort | xargs sha256sum
		} | sha256sum | cut -c1-16
	)
	printf '%s/%s' "$cache" "$key"
}

image_status() {
	local image
	image=$(image_directory)
	if [[ -e $image/summary ]]; then
		printf 'image: %s (%s)\n%s\n' "$image" "$(du -sh "$image" | cut -f1)" "$(cat "$image/summary")"
	else
		printf 'image: none yet for this recipe in %s; the next build or up makes it\n' "$cache"
	fi
}

# True when the cache has it, from where the person wants it.
image_is_made() {
	[[ -e $1/summary && ($images_from == auto || $images_from == "$(cat "$1/from")") ]]
}

# hold_image: the image exists, and stays while descriptor 9 is open.
hold_image() {
	local image
	image=$(image_directory)
	lock_image --shared
	if image_is_made "$image"; then
		touch "$image"
		return
	fi
	build_image ''
	lock_image --shared
	image_is_made "$image" || die "another checkout put its own image into $cache just now: try again, or set NEXUS_TEST_CACHE"
}

lock_image() {
	mkdir -p "$cache"
	exec 9>"$cache/.lock"
	flock --nonblock "$1" 9 || {
		say "waiting for another command on the image"
		flock "$1" 9
	}
}

# build_image AGAIN: AGAIN is --again to make it anew, or empty.
build_image() {
	local image again=$1
	[[ -z $again || $again == --again ]] || usage_error "'build' does not understand '$again'"
	image=$(image_directory)
	lock_image --exclusive
	if [[ -z $again ]] && image_is_made "$image"; then
		say "the image is in the cache: $image"
	else
		need_for_build
		make_image "$image"
	fi
	exec 9>&-
	cat "$image/summary"
}

# The jobs of a build; each runs in a cage of its own, so that nothing of a killed build lives on.
build_cages() {
	local stand_in
	while read -r _ stand_in; do echo "build.$stand_in"; done < <(container_images)
	echo build.machine
	echo build.boot
}

# The container images that the compose file names: "NAME STAND-IN" a line.
container_images() { grep -v '^#' "$here/image/container-images"; }

end_build_jobs() {
	local cage
	for cage in $(build_cages); do cage_kill "$cage"; done
}

# Its summary first: without, it counts as not made.
remove_image() {
	rm -f "$1/summary"
	rm -rf --one-file-system "$1"
}

make_image() {
	local image=$1 part=$cache/.partial from mirror begun=$SECONDS old
	end_build_jobs
	rm -rf --one-file-system "$part"
	mkdir -p "$part"
	trap end_build_jobs EXIT
	trap 'exit 130' INT TERM HUP
	mirror=$(debian_mirror "$part")
	from=$(where_images_come_from)
	say "building the image from $mirror; container images: $from (logs are in $part)"

	local name stand_in cage
	declare -A job
	start_job build.machine "$here/image/machine.sh" "$mirror" "$part/root"
	while read -r name stand_in; do
		if [[ $from == registry ]]; then
			start_job "build.$stand_in" "$here/image/pull.sh" "$name" "$part/$stand_in.tar"
		else
			start_job "build.$stand_in" "$here/image/stand-in.sh" "$mirror" "$stand_in" "$part/$stand_in"
		fi
	done < <(container_images)

	# The images first: a registry that refuses is known in seconds, the machine in a minute.
	for cage in $(build_cages); do
		if [[ ${job[$cage]-} ]]; then finish_job "$cage"; fi
	done
	boot build.boot "$part/root" "$part/build.boot.log"
	await_up build.boot "$part/build.boot.log"
	while read -r name stand_in; do
		load_container_image "$part" "$from" "$name" "$stand_in"
	done < <(container_images)
	inside build.boot systemctl --no-block poweroff
	await 60 cage_is_empty build.boot || die "the new machine does not power off: its console is in $part/build.boot.log"
	forget_first_boot "$part/root"
	end_build_jobs
	trap - EXIT INT TERM HUP

	remove_image "$image"
	# One is kept beside it, the last that was used: two checkouts may need different ones.
	find "$cache" -mindepth 1 -maxdepth 1 -type d -regex '.*/[0-9a-f]+' -printf '%T@ %p\n' | sort -rn | cut -d' ' -f2- | tail -n +2 |
		while read -r old; do remove_image "$old"; done
	mkdir "$image"
	mv "$part/root" "$image/root"
	echo "$from" >"$image/from"
	summary "$from" >"$part/summary"
	mv "$part/summary" "$image/summary"
	rm -rf --one-file-system "$part"
	say "built in $((SECONDS - begun)) s: $image"
}

# start_job CAGE COMMAND...: in the background, as ${job[CAGE]}, with a process namespace too, so that it and all it
# starts end when this script does, even by SIGKILL.
start_job() {
	local cage=$1
	shift
	(cage_exec "$cage" setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount-proc -- "$@") \
		</dev/null >"$part/$cage.log" 2>&1 8>&- 9>&- &
	job[$cage]=$!
}

finish_job() {
	wait "${job[$1]}" || {
		tail -n 15 "$part/$1.log" >&2
		die "the job '$1' of the image failed; its last words are above, all of them in $part/$1.log; mend it and build again"
	}
	say "$1 is done after $((SECONDS - begun)) s"
}

# What must differ from machine to machine, and what the build wrote to the journal.
forget_first_boot() {
	: >"$1/etc/machine-id"
	rm -rf "$1"/var/log/journal/* "$1"/var/lib/docker/engine-id "$1"/var/lib/systemd/random-seed "$1"/var/tmp/* \
		"$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*
}
