complete -c nexus-upgrade-postgres -l drop-database -d 'with --finish' -r -f -a "remove a cluster although its database NAME is in no other; may be repeated\t''"
complete -c nexus-upgrade-postgres -l back -d 'back to the one before'
complete -c nexus-upgrade-postgres -l finish -d 'remove the clusters of all other versions'
complete -c nexus-upgrade-postgres -l yes -d 'ask nothing'
complete -c nexus-upgrade-postgres -l version -d 'which version this is'
complete -c nexus-upgrade-postgres -l help -d 'this'
