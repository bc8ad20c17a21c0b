# The image cache. KEY is a hash of the recipe, so a changed recipe builds a new image:
#   $cache/KEY/root      the machine's disk
#   $cache/KEY/from      the source of its container images: registry or stand-in
#   $cache/KEY/summary   the same in a sentence; written last and removed first, so an image without it is incomplete
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
		printf 'image: none yet for this recipe in %s; the next build or up creates it\n' "$cache"
	fi
}

# image_is_built DIRECTORY: true if the image is complete and its container images come from the requested source.
image_is_built() {
	[[ -e $1/summary && ($images_from == auto || $images_from == "$(cat "$1/from")") ]]
}

# Builds the image if necessary, and keeps others from replacing it while descriptor 9 is open.
hold_image() {
	local image
	image=$(image_directory)
	lock_image --shared
	if image_is_built "$image"; then
		touch "$image"
		return
	fi
	build_image ''
	lock_image --shared
	image_is_built "$image" || die "another checkout has just replaced the image in $cache: try again, or set NEXUS_TEST_CACHE"
}

lock_image() {
	mkdir -p "$cache"
	exec 9>"$cache/.lock"
	flock --nonblock "$1" 9 || {
		say "waiting for another command that uses the image"
		flock "$1" 9
	}
}

# build_image AGAIN: AGAIN is --again, which rebuilds an existing image, or empty.
build_image() {
	local image again=$1
	[[ -z $again || $again == --again ]] || usage_error "'build' does not understand '$again'"
	image=$(image_directory)
	lock_image --exclusive
	if [[ -z $again ]] && image_is_built "$image"; then
		say "the image is in the cache: $image"
	else
		need_for_build
		create_image "$image"
	fi
	exec 9>&-
	cat "$image/summary"
}

# The jobs of a build. Each runs in its own cage, so that no process of a killed build survives.
build_cages() {
	local stand_in
	while read -r _ stand_in; do echo "build.$stand_in"; done < <(container_images)
	echo build.machine
	echo build.boot
}

# Prints the container images of the Compose file, one "NAME STAND-IN" per line.
container_images() { grep -v '^#' "$here/image/container-images"; }

end_build_jobs() {
	local cage
	for cage in $(build_cages); do cage_kill "$cage"; done
}

# Removes the summary first: without it, the image counts as incomplete.
remove_image() {
	rm -f "$1/summary"
	rm -rf --one-file-system "$1"
}

create_image() {
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

	# Waits for the container images first: a registry refuses within seconds, the machine takes a minute.
	for cage in $(build_cages); do
		if [[ ${job[$cage]-} ]]; then finish_job "$cage"; fi
	done
	boot build.boot "$part/root" "$part/build.boot.log"
	await_up build.boot "$part/build.boot.log"
	while read -r name stand_in; do
		load_container_image "$part" "$from" "$name" "$stand_in"
	done < <(container_images)
	inside build.boot systemctl --no-block poweroff
	await 60 cage_is_empty build.boot || die "the new machine did not power off within 60 s: see its console in $part/build.boot.log"
	forget_first_boot "$part/root"
	end_build_jobs
	trap - EXIT INT TERM HUP

	remove_image "$image"
	# Keeps one other image, the last used one: two checkouts may need different ones.
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

# start_job CAGE COMMAND...: runs the command in the background as ${job[CAGE]}, in its own process namespace, so that it and
# all its children end with this script, even if SIGKILL ends the script.
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
		die "the image's job '$1' failed; the end of its log is above, the whole log in $part/$1.log. Fix the cause and build again"
	}
	say "$1 is done after $((SECONDS - begun)) s"
}

# Removes what must differ between machines, and what the build wrote to the journal.
forget_first_boot() {
	: >"$1/etc/machine-id"
	rm -rf "$1"/var/log/journal/* "$1"/var/lib/docker/engine-id "$1"/var/lib/systemd/random-seed "$1"/var/tmp/* \
		"$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*
}
