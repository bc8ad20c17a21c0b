complete -c nexus-embed -l model -d 'The model: a folder below /var/lib/nexus/models, or a path' -r
complete -c nexus-embed -l idle -d 'The service leaves when nobody has asked for so long, 1s to 1day' -r
complete -c nexus-embed -l threads -d 'Processors that a text is shared out among, 1 to 64 [default: all, but no more than 4]' -r
complete -c nexus-embed -l socket -d 'Socket of the service, for --backfill and --check' -r -F
complete -c nexus-embed -l pg-host -d 'Directory of PostgreSQL\'s socket, or a host name' -r
complete -c nexus-embed -l pg-port -d 'Port (part of the socket\'s name too)' -r
complete -c nexus-embed -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-embed -l models-dir -d 'Directory of the models' -r -F
complete -c nexus-embed -l backfill -d 'Fill in the vectors that episodes lack; nexus-embed-backfill.timer does it every minute'
complete -c nexus-embed -l check -d 'Say how many vectors are of the model that is used, and of others; exit 65 if there are others'
complete -c nexus-embed -l requeue -d 'Queue the episodes whose vectors are of another model, and those that have failed'
complete -c nexus-embed -l json -d 'One JSON object on standard output'
complete -c nexus-embed -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-embed -s V -l version -d 'Print version'
