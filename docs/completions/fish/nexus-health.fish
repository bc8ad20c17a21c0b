complete -c nexus-health -l note-ports -d 'Write the addresses that programs listen on into FILE, and nothing else; nexus-health-ports.service uses it' -r -F
complete -c nexus-health -l interval -d 'Time between two rounds of checks, 1s to 1h' -r
complete -c nexus-health -l heal -d 'Make the repairs that cannot lose data: on or off' -r -f -a "on\t''
off\t''"
complete -c nexus-health -l heal-per-hour -d 'The most repairs of the same thing within an hour, 1 to 60' -r
complete -c nexus-health -l pg-host -d 'Directory of PostgreSQL\'s socket, or a host name' -r
complete -c nexus-health -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-health -l pg-user -d 'Role of the jobs: superuser, or one with BYPASSRLS that may read every table' -r
complete -c nexus-health -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-health -l redis-socket -d 'Socket of Redis' -r -F
complete -c nexus-health -l docker-socket -d 'Socket of nexus-docker' -r -F
complete -c nexus-health -l backup-dir -d 'Directory that holds the backup sets' -r -F
complete -c nexus-health -l proofs-dir -d 'Directory of the proofs that nexus-restore-test writes' -r -F
complete -c nexus-health -l purge-ledger -d 'The ledger of what nexus-purge has forgotten' -r -F
complete -c nexus-health -l purge-hourly -d 'The most episodes that programs may ask NEXUS to forget in an hour, 0 to 1000000; people have no limit' -r
complete -c nexus-health -l data-dir -d 'A directory on the file system that holds the database; with the default, nexus-health asks Docker for its data root' -r -F
complete -c nexus-health -l keep-days -d 'Days to keep sets, 7 to 3650' -r
complete -c nexus-health -l keep-min -d 'Newest sets to keep at any age, at least 1' -r
complete -c nexus-health -l keep-weekly -d 'Keep the last set of each of this many weeks, 0 to 520' -r
complete -c nexus-health -l keep-monthly -d 'Keep the last set of each of this many months, 0 to 120' -r
complete -c nexus-health -l postgres-image -d 'Image of PostgreSQL [default: the one of docker-compose.yml]' -r
complete -c nexus-health -l redis-image -d 'Image of Redis [default: the one of docker-compose.yml]' -r
complete -c nexus-health -l ports -d 'Ports that must be reachable from this machine only' -r
complete -c nexus-health -l left-out -d 'Other databases of the server that you back up in another way; nexus-health does not warn about them' -r
complete -c nexus-health -l api-socket -d 'Socket of nexus-api' -r -F
complete -c nexus-health -l alert-mail -r
complete -c nexus-health -l alert-webhook-format -r
complete -c nexus-health -l alert-command -r
complete -c nexus-health -l alert-wall -r
complete -c nexus-health -l cpu -d 'Processor in use, on average between two checks, ten checks in a row' -r
complete -c nexus-health -l memory -d 'Memory in use: all but MemAvailable' -r
complete -c nexus-health -l pressure -d 'Share of the last minutes in which work waited for processor, memory or disk' -r
complete -c nexus-health -l temperature -d 'Temperature of the hottest part, in degrees Celsius' -r
complete -c nexus-health -l clock -d 'Time for which the clock has not been synchronised' -r
complete -c nexus-health -l disk -d 'Bytes in use of a file system: database, backups, root' -r
complete -c nexus-health -l inodes -d 'Files in use of a file system that has a limit' -r
complete -c nexus-health -l until-full -d 'Time until a file system is full, at the growth of the last weeks' -r
complete -c nexus-health -l pg-round-trip -d 'Time that PostgreSQL takes to answer the smallest query' -r
complete -c nexus-health -l pg-connections -d 'Connections in use, as a share of those that programs may use' -r
complete -c nexus-health -l pg-transaction -d 'Age of the oldest transaction of a program' -r
complete -c nexus-health -l pg-lock -d 'Time for which a session has been waiting for a lock' -r
complete -c nexus-health -l pg-wal -d 'Size of the write-ahead log' -r
complete -c nexus-health -l pg-dead-rows -d 'Share of dead rows in a table that has more than ten thousand of them' -r
complete -c nexus-health -l pg-wraparound -d 'Share of the transaction IDs used since the oldest row was frozen' -r
complete -c nexus-health -l redis-memory -d 'Share of NEXUS_REDIS_MAXMEMORY that Redis uses' -r
complete -c nexus-health -l redis-evictions -d 'Keys that Redis has evicted in the last hour because its memory was full' -r
complete -c nexus-health -l backup-age -d 'Age of the newest complete backup set' -r
complete -c nexus-health -l proof-age -d 'Age of the newest backup set that a restore has proven' -r
complete -c nexus-health -l embedding -d 'Time for which a text has been waiting for its vector' -r
complete -c nexus-health -l restarts -d 'Times that Docker has restarted a container in the last hour' -r
complete -c nexus-health -l run-dir -d 'Directory of health.json and problems.json' -r -F
complete -c nexus-health -l state-dir -d 'Directory of the disks\' history and of requests to systemd' -r -F
complete -c nexus-health -l metrics -d 'The file for Prometheus' -r -F
complete -c nexus-health -l alert-tested -d 'The outcome of the monthly test alert' -r -F
complete -c nexus-health -l once -d 'Check once, print a table, repair nothing; exit 0 well, 1 warning, 2 critical, 3 unknown'
complete -c nexus-health -l json -d 'Check once, and print one JSON object to standard output'
complete -c nexus-health -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-health -s V -l version -d 'Print version'
