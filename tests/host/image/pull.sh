#!/bin/bash
# pull.sh NAME TARBALL: fetches a container image from its registry, in the format of `docker load`.

set -euo pipefail
name=$1 tarball=$2

# Docker's short names: no slash means Docker Hub's own images.
[[ $name == */* ]] || path=library/$name
skopeo --insecure-policy copy "docker://docker.io/${path:-$name}" "docker-archive:$tarball:$name" || {
	echo "pull.sh: cannot fetch $name from the registry: the cause is above;" \
		"NEXUS_TEST_IMAGES=stand-in builds stand-ins instead" >&2
	exit 1
}
