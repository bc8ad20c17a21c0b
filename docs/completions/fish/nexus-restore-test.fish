complete -c nexus-restore-test -l backup-dir -d 'Directory that holds the backup sets' -r -F
complete -c nexus-restore-test -l proofs-dir -d 'Directory of the proofs that nexus-restore-test writes' -r -F
complete -c nexus-restore-test -l purge-ledger -d 'The ledger of what nexus-purge has forgotten' -r -F
complete -c nexus-restore-test -l redis-copies -d 'Prefixes of the Redis keys that hold copies of episodes; the id of the episode follows the prefix. none = no such keys' -r
complete -c nexus-restore-test -l identity -d 'File with the age identity to decrypt with [default: this machine\'s own]' -r -F
complete -c nexus-restore-test -l jobs -d 'Tables to restore at once, 1 to 16' -r
complete -c nexus-restore-test -l memory -d 'Memory for the throwaway server, in MiB, 128 to 65536 [default: half of the free memory, 4096 at most]' -r
complete -c nexus-restore-test -l recall -d 'Share of the ten true neighbours that a search by a vector index must find on average, 0 to 1' -r
complete -c nexus-restore-test -l docker-socket -d 'Socket of nexus-docker' -r -F
complete -c nexus-restore-test -l scratch-dir -d 'Directory of the throwaway servers\' sockets' -r -F
complete -c nexus-restore-test -l json -d 'One JSON object, the proof, on standard output'
complete -c nexus-restore-test -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-restore-test -s V -l version -d 'Print version'
