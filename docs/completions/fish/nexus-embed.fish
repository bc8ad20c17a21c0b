complete -c nexus-embed -l model -d 'Model: a directory below /var/lib/nexus/models, or an absolute path' -r
complete -c nexus-embed -l idle -d 'Idle time after which the service exits, 1s to 1day' -r
complete -c nexus-embed -l threads -d 'Threads that work on one text, 1 to 64 [default: one per processor, at most 4]' -r
complete -c nexus-embed -l socket -d 'Socket of the service, for --backfill and --check' -r -F
complete -c nexus-embed -l pg-host -d 'Directory of PostgreSQL\'s socket, or a host name' -r
complete -c nexus-embed -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-embed -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-embed -l models-dir -d 'Directory of the models' -r -F
complete -c nexus-embed -l backfill -d 'Fill in missing vectors of episodes; nexus-embed-backfill.timer does it every minute'
complete -c nexus-embed -l check -d 'Count the vectors of the current model and of others; exit 65 if there are others'
complete -c nexus-embed -l requeue -d 'Queue the episodes that have a vector of another model, and those that failed'
complete -c nexus-embed -l json -d 'Print one JSON object on standard output'
complete -c nexus-embed -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-embed -s V -l version -d 'Print version'
