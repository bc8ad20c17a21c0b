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

complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -s V -l version -d 'Print version'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "api" -d 'Insert and search over HTTP: p50, p95, p99, throughput, recall@10'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "backup" -d 'Backup: time, size, memory, and distance from the limit; compared with others'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "restore" -d 'Restore: time until the first answer and until all indexes exist; compared with others'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "idle" -d 'Idle services: memory and processor time; compared with others'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "boot" -d 'Time from the start of nexus.target until all is well; stops and starts the live stack'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l episodes -d 'Episodes, 100 to 10000000' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l vectors -d 'Source of the vectors' -r -f -a "model\t'nexus-embed computes them from the texts'
mixture\t'A mixture with the spectrum of real vectors, without a model'"
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l texts -d 'File of texts to store, one per paragraph, repeated if they are too few [default: made-up words]' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l seed -d 'Seed of the random generator' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l time -d 'Time for each kind of request, 1s to 1h' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l clients -d 'Numbers of clients that never pause, 1 to 64, one measurement for each' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l rate -d 'Requests a second at random times, 1 to 10000 [default: half the throughput of four clients]' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l while -d 'Jobs that run during requests at random times, one measurement for each' -r -f -a "backup\t'Backups, one after the other'
purge\t'A purge of three in ten episodes'"
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l queries -d 'Queries whose results are compared with the exact ones, 1 to 10000' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l pg-host -d 'Directory of PostgreSQL\'s socket' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l pg-user -d 'Superuser' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l against -d 'Compare with an earlier report of --json, and list changes beyond the noise' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l cold -d 'Also measure the first searches with cold caches of PostgreSQL and the kernel'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l json -d 'Print one JSON object on standard output'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l episodes -d 'Episodes, 100 to 10000000' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l vectors -d 'Source of the vectors' -r -f -a "model\t'nexus-embed computes them from the texts'
mixture\t'A mixture with the spectrum of real vectors, without a model'"
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l texts -d 'File of texts to store, one per paragraph, repeated if they are too few [default: made-up words]' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l seed -d 'Seed of the random generator' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l rounds -d 'Rounds, in which each program runs once, 1 to 100; the median counts' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l only -d 'Compare only with programs whose name contains this' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l directory -d 'Directory for the backups, on the disk to measure' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l pg-host -d 'Directory of PostgreSQL\'s socket' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l pg-user -d 'Superuser' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l against -d 'Compare with an earlier report of --json, and list changes beyond the noise' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l peers -d 'Compare with the other programs that are installed here'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l json -d 'Print one JSON object on standard output'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l episodes -d 'Episodes, 100 to 10000000' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l vectors -d 'Source of the vectors' -r -f -a "model\t'nexus-embed computes them from the texts'
mixture\t'A mixture with the spectrum of real vectors, without a model'"
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l texts -d 'File of texts to store, one per paragraph, repeated if they are too few [default: made-up words]' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l seed -d 'Seed of the random generator' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l rounds -d 'Rounds, in which each program runs once, 1 to 100; the median counts' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l only -d 'Compare only with programs whose name contains this' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l directory -d 'Directory for the backups, on the disk to measure' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l pg-host -d 'Directory of PostgreSQL\'s socket' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l pg-user -d 'Superuser' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l against -d 'Compare with an earlier report of --json, and list changes beyond the noise' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l peers -d 'Compare with the other programs that are installed here'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l json -d 'Print one JSON object on standard output'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand idle" -l time -d 'Time to measure, 1s to 1h' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand idle" -l against -d 'Compare with an earlier report of --json, and list changes beyond the noise' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand idle" -l peers -d 'Compare with netdata and prometheus-node-exporter, if they are installed here'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand idle" -l json -d 'Print one JSON object on standard output'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand idle" -s h -l help -d 'Print help'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand boot" -l rounds -d 'Rounds, 1 to 100; the median counts' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand boot" -l against -d 'Compare with an earlier report of --json, and list changes beyond the noise' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand boot" -l yes -d 'Stop the live stack without asking'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand boot" -l json -d 'Print one JSON object on standard output'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand boot" -s h -l help -d 'Print help'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "api" -d 'Insert and search over HTTP: p50, p95, p99, throughput, recall@10'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "backup" -d 'Backup: time, size, memory, and distance from the limit; compared with others'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "restore" -d 'Restore: time until the first answer and until all indexes exist; compared with others'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "idle" -d 'Idle services: memory and processor time; compared with others'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "boot" -d 'Time from the start of nexus.target until all is well; stops and starts the live stack'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
