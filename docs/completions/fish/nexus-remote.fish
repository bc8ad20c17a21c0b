# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_nexus_remote_global_optspecs
    string join \n h/help V/version
end

function __fish_nexus_remote_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_nexus_remote_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_nexus_remote_using_subcommand
    set -l cmd (__fish_nexus_remote_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c nexus-remote -n "__fish_nexus_remote_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-remote -n "__fish_nexus_remote_needs_command" -s V -l version -d 'Print version'
complete -c nexus-remote -n "__fish_nexus_remote_needs_command" -f -a "check" -d 'Check the settings, the token and the certificate\'s files'
complete -c nexus-remote -n "__fish_nexus_remote_needs_command" -f -a "open" -d 'Check, then make nexus-api listen for the proxy, and the kernel pass its packets'
complete -c nexus-remote -n "__fish_nexus_remote_needs_command" -f -a "close" -d 'Undo what open does'
complete -c nexus-remote -n "__fish_nexus_remote_needs_command" -f -a "note" -d 'Record for nexus-health the token\'s age and the certificate\'s validity'
complete -c nexus-remote -n "__fish_nexus_remote_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand check" -l by -d 'How other machines reach the memory: caddy, tailscale, or off' -r -f -a "off\t'No other machine has access'
caddy\t'Other machines connect through Caddy, with TLS, on ports 80 and 443'
tailscale\t'Other machines connect through Tailscale, without an open port'"
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand check" -l domain -d 'This machine\'s DNS name, on the Internet or a LAN, or its IPv4 address' -r
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand check" -l tls -d 'Where the certificate comes from: auto = a public authority; internal = this machine\'s own authority; files = /etc/nexus/tls/cert.pem and key.pem' -r -f -a "auto\t'A public authority issues it'
internal\t'Caddy\'s own authority issues it'
files\t'The owner\'s files contain it'"
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand check" -l allow -d 'Who may connect: addresses and networks (192.168.1.0/24, 2001:db8::/48), separated by spaces. Empty = private networks, if this machine has no public address' -r
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand open" -l by -d 'How other machines reach the memory: caddy, tailscale, or off' -r -f -a "off\t'No other machine has access'
caddy\t'Other machines connect through Caddy, with TLS, on ports 80 and 443'
tailscale\t'Other machines connect through Tailscale, without an open port'"
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand open" -l domain -d 'This machine\'s DNS name, on the Internet or a LAN, or its IPv4 address' -r
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand open" -l tls -d 'Where the certificate comes from: auto = a public authority; internal = this machine\'s own authority; files = /etc/nexus/tls/cert.pem and key.pem' -r -f -a "auto\t'A public authority issues it'
internal\t'Caddy\'s own authority issues it'
files\t'The owner\'s files contain it'"
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand open" -l allow -d 'Who may connect: addresses and networks (192.168.1.0/24, 2001:db8::/48), separated by spaces. Empty = private networks, if this machine has no public address' -r
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand open" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand close" -s h -l help -d 'Print help'
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand note" -l by -d 'How other machines reach the memory: caddy, tailscale, or off' -r -f -a "off\t'No other machine has access'
caddy\t'Other machines connect through Caddy, with TLS, on ports 80 and 443'
tailscale\t'Other machines connect through Tailscale, without an open port'"
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand note" -l domain -d 'This machine\'s DNS name, on the Internet or a LAN, or its IPv4 address' -r
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand note" -l tls -d 'Where the certificate comes from: auto = a public authority; internal = this machine\'s own authority; files = /etc/nexus/tls/cert.pem and key.pem' -r -f -a "auto\t'A public authority issues it'
internal\t'Caddy\'s own authority issues it'
files\t'The owner\'s files contain it'"
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand note" -l allow -d 'Who may connect: addresses and networks (192.168.1.0/24, 2001:db8::/48), separated by spaces. Empty = private networks, if this machine has no public address' -r
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand note" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand help; and not __fish_seen_subcommand_from check open close note help" -f -a "check" -d 'Check the settings, the token and the certificate\'s files'
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand help; and not __fish_seen_subcommand_from check open close note help" -f -a "open" -d 'Check, then make nexus-api listen for the proxy, and the kernel pass its packets'
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand help; and not __fish_seen_subcommand_from check open close note help" -f -a "close" -d 'Undo what open does'
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand help; and not __fish_seen_subcommand_from check open close note help" -f -a "note" -d 'Record for nexus-health the token\'s age and the certificate\'s validity'
complete -c nexus-remote -n "__fish_nexus_remote_using_subcommand help; and not __fish_seen_subcommand_from check open close note help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
