complete -c nexus-purge -l episode -d 'Forget these episodes' -r
complete -c nexus-purge -l type -d 'Forget episodes of this type' -r
complete -c nexus-purge -l older-than -d 'Forget episodes older than this (90d, 12h, 5y)' -r
complete -c nexus-purge -l tag -d 'Forget episodes with this tag' -r
complete -c nexus-purge -l before -d 'Forget episodes older than this date or time (2026-01-31, 2026-01-31T12:00:00Z)' -r
complete -c nexus-purge -l agent -d 'Forget episodes of this agent; other options narrow it down' -r
complete -c nexus-purge -l since -d 'With --replay: only the decisions made since this date or time, and the open ones' -r
complete -c nexus-purge -l ttl -d 'Age by type: "conversation=90d, observation=30d, *=5y"; keep = never; * = every type not named' -r
complete -c nexus-purge -l max-share -d 'Percent of a table that may be forgotten without asking, 1 to 100' -r
complete -c nexus-purge -l referring -d 'What to do with rows of other tables that refer to a forgotten row, where their foreign key forbids its deletion' -r -f -a "stop\t'Delete nothing, and name the table that refers'
set-null\t'Keep those rows without the reference; like stop if the column is NOT NULL'
cascade\t'Delete those rows too'"
complete -c nexus-purge -l purge-hourly -d 'The most episodes that programs may ask NEXUS to forget in an hour, 0 to 1000000; people have no limit' -r
complete -c nexus-purge -l scrub -d 'Overwrite the free space that the rows leave in the table\'s pages, and rebuild its indexes, while other programs work' -r -f -a "yes\t''
no\t''"
complete -c nexus-purge -l rewrite -d 'Rewrite the table afterwards instead; locks it meanwhile' -r -f -a "yes\t''
no\t''"
complete -c nexus-purge -l batch -d 'The most rows to delete in one transaction, 10 to 100000' -r
complete -c nexus-purge -l old-pgvector -d 'Purge with a pgvector before 0.8.4, whose VACUUM can damage an HNSW index during writes' -r -f -a "yes\t''
no\t''"
complete -c nexus-purge -l table -d 'The table of the episodes: schema.table' -r
complete -c nexus-purge -l key-column -d 'Its column that identifies a row' -r
complete -c nexus-purge -l time-column -d 'Its column with the time, from which the age counts' -r
complete -c nexus-purge -l type-column -d 'Its type: column, or column->>member of a JSON column' -r
complete -c nexus-purge -l tags-column -d 'Its column with the tags' -r
complete -c nexus-purge -l agent-column -d 'Its column with the agent' -r
complete -c nexus-purge -l redis-copies -d 'Prefixes of the Redis keys that hold copies of episodes; the id of the episode follows the prefix. none = no such keys' -r
complete -c nexus-purge -l redis-ttl -d 'Time to live for Redis keys that have none, by prefix: "session:=1d, scratch:=2h"' -r
complete -c nexus-purge -l redis-socket -d 'Socket of Redis' -r -F
complete -c nexus-purge -l pg-host -d 'Directory of PostgreSQL\'s socket, or a host name' -r
complete -c nexus-purge -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-purge -l pg-user -d 'Role of the jobs: superuser, or one with BYPASSRLS that may read every table' -r
complete -c nexus-purge -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-purge -l purge-ledger -d 'The ledger of what nexus-purge has forgotten' -r -F
complete -c nexus-purge -l backup-dir -d 'Directory that holds the backup sets' -r -F
complete -c nexus-purge -l proofs-dir -d 'Directory of the proofs that nexus-restore-test writes' -r -F
complete -c nexus-purge -l keep-days -d 'Days to keep sets, 7 to 3650' -r
complete -c nexus-purge -l keep-min -d 'Newest sets to keep at any age, at least 1' -r
complete -c nexus-purge -l keep-weekly -d 'Keep the last set of each of this many weeks, 0 to 520' -r
complete -c nexus-purge -l keep-monthly -d 'Keep the last set of each of this many months, 0 to 120' -r
complete -c nexus-purge -l all -d 'Forget every episode; asks first'
complete -c nexus-purge -l replay -d 'Carry out every decision of the ledger again: after a restore by hand, or on an older copy of the database'
complete -c nexus-purge -l ledger -d 'Show the ledger, and for each line when rotation removes the last backup that still holds what it forgot'
complete -c nexus-purge -l expunge -d 'Remove the backup sets that still hold forgotten episodes; asks first'
complete -c nexus-purge -l answer -d 'Serve one request over the connection on standard input; nexus-purge@.service uses it'
complete -c nexus-purge -l dry-run -d 'Print what would be forgotten, and change nothing'
complete -c nexus-purge -l yes -d 'Do not ask, and do not stop at NEXUS_PURGE_MAX_SHARE'
complete -c nexus-purge -l json -d 'Print one JSON object to standard output'
complete -c nexus-purge -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-purge -s V -l version -d 'Print version'
