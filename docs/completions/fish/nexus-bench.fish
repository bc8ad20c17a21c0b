# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_nexus_bench_global_optspecs
    string join \n h/help V/version
end

function __fish_nexus_bench_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_nexus_bench_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_nexus_bench_using_subcommand
    set -l cmd (__fish_nexus_bench_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -s h -l help -d 'Print help'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -s V -l version -d 'Print version'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "api" -d 'Insert and search over the API: p50, p95, p99, throughput, recall@10'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l socket -d 'The API\'s socket' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l episodes -d 'Episodes that there are when it is measured, 100 to 10000000' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l time -d 'Time for each kind of request, 1s to 1h' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l rate -d 'Requests a second, 1 to 10000' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l vectors -d 'Where vectors come from: the model (as texts), or given, a mixture of directions' -r -f -a "model\t'nexus-embed makes them of the texts'
given\t'A mixture of directions, without any model'"
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l queries -d 'Queries whose answers are compared with the exact ones, 1 to 10000' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l seed -d 'What is random begins with this' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l agent -d 'The agent whose memory is filled, and emptied at the end [default: bench and the seed]' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l pg-host -d 'Directory of PostgreSQL\'s socket' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l pg-port -d 'Number in the socket\'s name' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l pg-database -d 'Database that holds the memory: the one of that API' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l keep -d 'Leave its rows there'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l json -d 'One JSON object on standard output'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api help" -f -a "api" -d 'Insert and search over the API: p50, p95, p99, throughput, recall@10'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
