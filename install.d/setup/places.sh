# Where things are on this machine. Whoever installs below another prefix writes this file's first line and the paths in
# units and pages anew: see install.d/files.sh.
# shellcheck shell=bash disable=SC2034 # what one part sets, another reads

prefix=/usr/local
share=$prefix/share/nexus
units=$prefix/lib/systemd/system
preset=$prefix/lib/systemd/system-preset/50-nexus.preset
# Every setting with its default, as this version has it.
example=$share/nexus.env.example

settings=/etc/nexus/nexus.env
keys=/etc/nexus/credentials
recipients=/etc/nexus/recipients.txt
models=/var/lib/nexus/models
# One nexus-setup at a time: see tmpfiles.d/nexus.conf.
setups_lock=/run/nexus-locks/setup
# What setup keeps in mind: copies of what it wrote, to tell a file that a person changed from one that nobody did; which units it
# has switched on; which version it has set up.
as_shipped=/var/lib/nexus/installed
# Holds the major version of PostgreSQL for which compose/postgres/start.sh may create an empty cluster.
new_memory=/etc/nexus/postgres/new-memory
