complete -c nexus-setup -l owner-identity -d 'the owner\'s age identity' -r -F
complete -c nexus-setup -l model -d 'the model for search by meaning' -r -f -a "(__fish_complete_directories)"
complete -c nexus-setup -l remote -d 'how other machines reach the memory' -r -f -a "caddy\t''
tailscale\t''
off\t''"
complete -c nexus-setup -l check -d 'only list what this machine lacks'
complete -c nexus-setup -l yes -d 'ask nothing'
complete -c nexus-setup -l new-memory -d 'start with an empty memory after the old one was lost'
complete -c nexus-setup -l upgrade -d 'what a package runs after an upgrade'
complete -c nexus-setup -l version -d 'print the version'
complete -c nexus-setup -l help -d 'show this help'
