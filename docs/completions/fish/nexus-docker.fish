complete -c nexus-docker -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-docker -s V -l version -d 'Print version'
