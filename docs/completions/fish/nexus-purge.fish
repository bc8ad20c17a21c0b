complete -c nexus-purge -l episode -d 'Forget these episodes' -r
complete -c nexus-purge -l type -d 'Forget episodes of this type' -r
complete -c nexus-purge -l older-than -d 'Forget episodes older than this (90d, 12h, 5y)' -r
complete -c nexus-purge -l tag -d 'Forget episodes with this tag' -r
complete -c nexus-purge -l before -d 'Forget episodes from before this day or moment (2026-01-31, 2026-01-31T12:00:00Z)' -r
complete -c nexus-purge -l agent -d 'Forget episodes of this agent; what is said besides narrows it down' -r
complete -c nexus-purge -l since -d 'With --replay: only the decisions made since this day or moment, and those that are open' -r
complete -c nexus-purge -l ttl -d 'Age by type: "conversation=90d, observation=30d, *=5y"; keep = never; * = every type not named' -r
complete -c nexus-purge -l max-share -d 'Percent of the table that may go in one run without --yes, 1 to 100' -r
complete -c nexus-purge -l purge-hourly -d 'The most episodes that programs may have forgotten within an hour, 0 to 1000000; people have no limit' -r
complete -c nexus-purge -l scrub -d 'Overwrite the room that the rows leave in the table\'s pages, and write its indexes anew, while others work' -r -f -a "yes\t'Yes'
no\t'No'"
complete -c nexus-purge -l rewrite -d 'Rewrite the table afterwards instead; locks it for as long as that takes' -r -f -a "yes\t'Yes'
no\t'No'"
complete -c nexus-purge -l referring -d 'What becomes of rows of other tables that refer to one that goes, where their foreign key forbids that' -r -f -a "stop\t'Delete nothing, and name the table that refers'
set-null\t'Keep those rows without the reference; like stop if the column is NOT NULL'
cascade\t'Delete those rows too'"
complete -c nexus-purge -l batch -d 'The most rows of one transaction, 10 to 100000' -r
complete -c nexus-purge -l old-pgvector -d 'Purge although pgvector is older than 0.8.4, whose VACUUM can damage an HNSW index that is written to meanwhile' -r -f -a "yes\t'Yes'
no\t'No'"
complete -c nexus-purge -l table -d 'The table: schema.table' -r
complete -c nexus-purge -l key-column -d 'Its column that names a row for ever' -r
complete -c nexus-purge -l time-column -d 'Its column whose age counts' -r
complete -c nexus-purge -l type-column -d 'Where its type is: column, or column->>member' -r
complete -c nexus-purge -l tags-column -d 'Its column with the tags' -r
complete -c nexus-purge -l agent-column -d 'Its column with the agent' -r
complete -c nexus-purge -l redis-copies -d 'How keys of Redis begin that hold copies of episodes, before the episode\'s id; none = there are none' -r
complete -c nexus-purge -l redis-ttl -d 'Time to live for keys of Redis that have none, by prefix: "session:=1d, scratch:=2h"' -r
complete -c nexus-purge -l redis-socket -d 'Redis\'s socket' -r -F
complete -c nexus-purge -l pg-host -d 'Directory of PostgreSQL\'s socket, or a host name' -r
complete -c nexus-purge -l pg-port -d 'Port (part of the socket\'s name too)' -r
complete -c nexus-purge -l pg-user -d 'Role of the jobs: superuser, or one with BYPASSRLS that may read every table' -r
complete -c nexus-purge -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-purge -l purge-ledger -d 'The ledger' -r -F
complete -c nexus-purge -l backup-dir -d 'Directory that holds the backup sets' -r -F
complete -c nexus-purge -l proofs-dir -d 'Directory of the proofs that nexus-restore-test writes' -r -F
complete -c nexus-purge -l keep-days -d 'Days to keep sets, 7 to 3650' -r
complete -c nexus-purge -l keep-min -d 'Newest sets to keep at any age, at least 1' -r
complete -c nexus-purge -l keep-weekly -d 'Weeks for which to keep the last set too, 0 to 520' -r
complete -c nexus-purge -l keep-monthly -d 'Months for which to keep the last set too, 0 to 120' -r
complete -c nexus-purge -l all -d 'Forget every episode; asks'
complete -c nexus-purge -l replay -d 'Carry out every decision of the ledger again: after a restore by hand, or on an older copy of the database'
complete -c nexus-purge -l ledger -d 'Show the ledger, and when the last backup that still holds what each line forgot will be gone'
complete -c nexus-purge -l expunge -d 'Remove the backup sets that still hold something forgotten; asks'
complete -c nexus-purge -l answer -d 'Answer one request over the connection on standard input: nexus-purge@.service does'
complete -c nexus-purge -l dry-run -d 'Only say what would go'
complete -c nexus-purge -l yes -d 'Do not ask, and do not stop at NEXUS_PURGE_MAX_SHARE'
complete -c nexus-purge -l json -d 'One JSON object on standard output'
complete -c nexus-purge -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-purge -s V -l version -d 'Print version'
