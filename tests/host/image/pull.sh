#!/bin/bash
# pull.sh NAME TARBALL: downloads a container image from its registry, in the format of `docker load`.

set -euo pipefail
name=$1 tarball=$2

# A short name without a slash means an official image of Docker Hub.
[[ $name == */* ]] || path=library/$name
skopeo --insecure-policy copy "docker://docker.io/${path:-$name}" "docker-archive:$tarball:$name" || {
	echo "pull.sh: cannot download $name from the registry: the cause is above." \
		"To build stand-ins instead, set NEXUS_TEST_IMAGES=stand-in" >&2
	exit 1
}
