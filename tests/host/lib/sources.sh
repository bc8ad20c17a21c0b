# Chooses the sources of an image: a Debian mirror, and an image registry or stand-ins.
# shellcheck shell=bash

: "${here:?}" "${images_from:?}"

# debian_mirror SCRATCH: prints the Debian mirror of this host's apt if it serves trixie and forky, else the official one.
debian_mirror() {
	local mirror release
	while read -r mirror release _; do
		[[ $release =~ ^(bookworm|trixie|forky|duke|sid|stable|testing|unstable)$ ]] || continue
		mirror=${mirror%/}
		if serves "$mirror" trixie "$1" && serves "$mirror" forky "$1"; then
			echo "$mirror"
			return
		fi
	done < <(apt_sources)
	echo http://deb.debian.org/debian
}

# Prints apt's sources, one-line and deb822 alike, as "URI SUITE COMPONENT" lines.
apt_sources() {
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		grep -E '^https?:.* main$' | sort -u
}

serves() {
	/usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$1/dists/$2/InRelease" "$3/InRelease" \
		>>"$3/mirror.log" 2>&1
}

where_images_come_from() {
	case $images_from in
	stand-in) echo stand-in ;;
	registry) need_packages skopeo=skopeo && echo registry ;;
	auto)
		if registry_answers; then
			need_packages skopeo=skopeo
			echo registry
		else
			echo stand-in
		fi
		;;
	*) die "NEXUS_TEST_IMAGES is '$images_from': it must be auto, registry or stand-in" ;;
	esac
}

# 401 means that the registry is there and asks for a login, which public images do not need.
registry_answers() {
	local code
	code=$(curl --silent --head --max-time 5 --output /dev/null --write-out '%{http_code}' \
		https://registry-1.docker.io/v2/) || return 1
	[[ $code == 200 || $code == 401 ]]
}

# load_container_image PART FROM NAME STAND-IN: loads the job's result from the directory PART into the booted machine's Docker.
load_container_image() {
	local part=$1 from=$2 name=$3 stand_in=$4 changes=() line
	if [[ $from == registry ]]; then
		inside build.boot docker load --quiet <"$part/$stand_in.tar" >>"$part/build.boot.log"
		rm "$part/$stand_in.tar"
	else
		while read -r line; do changes+=(--change "$line"); done < <(grep . "$here/image/stand-in/$stand_in/changes")
		tar --create --directory="$part/$stand_in" --numeric-owner . |
			inside build.boot docker import --change "LABEL org.nexus.stand-in=\"$stand_in_reason\"" \
				"${changes[@]}" - "$name" >>"$part/build.boot.log"
		rm -rf --one-file-system "${part:?}/$stand_in"
	fi
	inside build.boot docker image inspect "$name" </dev/null >/dev/null ||
		die "Docker does not list the container image $name after loading it: see $part/build.boot.log"
}

stand_in_reason='built from Debian forky packages, because no image registry answered'

# summary FROM: prints the build's closing line.
summary() {
	local names
	names=$(container_images | cut -d' ' -f1 | paste -sd, | sed 's/,/, /g')
	case $1 in
	registry) echo "container images: $names come from the registry; none is a stand-in" ;;
	stand-in)
		if [[ $images_from == stand-in ]]; then
			echo "container images: none comes from the registry; $names are stand-ins built from Debian forky packages, because NEXUS_TEST_IMAGES=stand-in"
		else
			echo "container images: none comes from the registry; $names are stand-ins $stand_in_reason (registry-1.docker.io)"
		fi
		;;
	esac
}
