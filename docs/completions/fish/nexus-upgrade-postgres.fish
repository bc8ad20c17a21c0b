complete -c nexus-upgrade-postgres -l drop-database -d 'with --finish' -r -f -a ""
complete -c nexus-upgrade-postgres -l back -d 'return to the previous version'
complete -c nexus-upgrade-postgres -l finish -d 'remove the clusters of all other versions'
complete -c nexus-upgrade-postgres -l yes -d 'ask nothing'
complete -c nexus-upgrade-postgres -l version -d 'print the version'
complete -c nexus-upgrade-postgres -l help -d 'show this help'
