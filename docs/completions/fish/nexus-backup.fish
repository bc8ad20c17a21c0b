complete -c nexus-backup -l pg-host -d 'Directory of PostgreSQL\'s socket, or a host name' -r
complete -c nexus-backup -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-backup -l pg-user -d 'Role of the jobs: superuser, or one with BYPASSRLS that may read every table' -r
complete -c nexus-backup -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-backup -l backup-dir -d 'Directory that holds the backup sets' -r -F
complete -c nexus-backup -l recipients -d 'File with the age recipients that can read the sets, one per line' -r -F
complete -c nexus-backup -l zstd-level -d 'Compression level, 1 (fast) to 9 (small); higher levels need more memory than a small machine has' -r
complete -c nexus-backup -l jobs -d 'Tables to copy at once, 1 to 16' -r
complete -c nexus-backup -l redis -d 'Whether to back up Redis; auto: if any key has no time to live' -r -f -a "auto\t'Back up Redis if any key has no time to live. If Redis cannot be read, the set lacks it and says so'
yes\t'Always back up Redis. If it cannot be read, the backup fails'
no\t'Never back up Redis'"
complete -c nexus-backup -l redis-socket -d 'Socket of Redis' -r -F
complete -c nexus-backup -l keep-days -d 'Days to keep sets, 7 to 3650' -r
complete -c nexus-backup -l keep-min -d 'Newest sets to keep at any age, at least 1' -r
complete -c nexus-backup -l keep-weekly -d 'Keep the last set of each of this many weeks, 0 to 520' -r
complete -c nexus-backup -l keep-monthly -d 'Keep the last set of each of this many months, 0 to 120' -r
complete -c nexus-backup -l proofs-dir -d 'Directory of the proofs that nexus-restore-test writes' -r -F
complete -c nexus-backup -l purge-ledger -d 'The ledger of what nexus-purge has forgotten' -r -F
complete -c nexus-backup -l docker-socket -d 'Socket of nexus-docker' -r -F
complete -c nexus-backup -l pg-dump -d 'Command to use in place of pg_dump in the container, for a server outside Compose' -r
complete -c nexus-backup -l pg-dumpall -d 'Command to use in place of pg_dumpall in the container, for a server outside Compose' -r
complete -c nexus-backup -l rotate-only -d 'Take no backup, only rotate; with --dry-run print what rotation would do with each set, and why'
complete -c nexus-backup -l accept-smaller -d 'Take no backup; accept that the newest set holds less than older ones, and let rotation remove those again'
complete -c nexus-backup -l new-directory -d 'Accept a new directory at the path of the one that held the sets; set numbers continue'
complete -c nexus-backup -l dry-run -d 'Print what would be backed up, how, its size, and whether it fits; write nothing'
complete -c nexus-backup -l json -d 'One JSON object on standard output'
complete -c nexus-backup -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-backup -s V -l version -d 'Print version'
