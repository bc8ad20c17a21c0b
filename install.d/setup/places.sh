# Defines where NEXUS's files are. For another prefix, install.d/files.sh rewrites the first line here, and the paths in units and
# pages.
# shellcheck shell=bash disable=SC2034 # what one part sets, another reads

prefix=/usr/local
share=$prefix/share/nexus
units=$prefix/lib/systemd/system
preset=$prefix/lib/systemd/system-preset/50-nexus.preset
# Every setting of this version with its default.
example=$share/nexus.env.example

settings=/etc/nexus/nexus.env
keys=/etc/nexus/credentials
recipients=/etc/nexus/recipients.txt
models=/var/lib/nexus/models
# Allows one nexus-setup at a time: see tmpfiles.d/nexus.conf.
setups_lock=/run/nexus-locks/setup
# Setup's own state: copies of the files that it wrote, to detect changes by the owner; the units that it has enabled; the version
# that it has set up.
as_shipped=/var/lib/nexus/installed
# The major version of PostgreSQL for which compose/postgres/start.sh may create an empty cluster.
new_memory=/etc/nexus/postgres/new-memory
