#!/bin/bash
# pull.sh NAME TARBALL: a container image from its registry, as `docker load` reads it.

set -euo pipefail
name=$1 tarball=$2

# Docker's short names: no slash means Docker Hub's own images.
[[ $name == */* ]] || path=library/$name
skopeo --insecure-policy copy "docker://docker.io/${path:-$name}" "docker-archive:$tarball:$name" || {
	echo "pull.sh: the registry did not give us $name: the cause is above;" \
		"NEXUS_TEST_IMAGES=stand-in builds stand-ins instead" >&2
	exit 1
}
