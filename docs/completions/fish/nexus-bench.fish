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
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "backup" -d 'A backup: time, size, memory, and how far from the limit; beside others'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "restore" -d 'A restore: until the first answer, until all indexes are there; beside others'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "idle" -d 'What is resident: memory and processor time; beside others'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "boot" -d 'From the start of nexus.target until all is well; stops and starts the living stack'
complete -c nexus-bench -n "__fish_nexus_bench_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l episodes -d 'Episodes, 100 to 10000000' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l vectors -d 'Where vectors come from' -r -f -a "model\t'nexus-embed makes them of the texts'
mixture\t'A mixture that has the spectrum of real ones, without any model'"
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l texts -d 'Texts to be stored, one a paragraph, again and again if they are too few [default: made-up words]' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l seed -d 'What is random begins with this' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l time -d 'Time for each kind of request, 1s to 1h' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l clients -d 'Clients that ask as fast as they are answered: how many, one measurement each' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l rate -d 'Requests a second where they come at their times [default: half of what four clients got answered]' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l while -d 'What runs while requests come at their times, one measurement each' -r -f -a "backup\t'Backups, one after the other'
purge\t'A purge of three in ten episodes'"
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l queries -d 'Queries whose answers are compared with the exact ones, 1 to 10000' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l pg-host -d 'Directory of PostgreSQL\'s socket' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l pg-port -d 'Number in the socket\'s name' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l pg-user -d 'Superuser' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l against -d 'Compare with what --json gave earlier, and say what has become worse beyond the noise' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l cold -d 'Also with cold caches: the first searches after what PostgreSQL and the kernel hold of the database was let go'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -l json -d 'One JSON object on standard output'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand api" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l episodes -d 'Episodes, 100 to 10000000' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l vectors -d 'Where vectors come from' -r -f -a "model\t'nexus-embed makes them of the texts'
mixture\t'A mixture that has the spectrum of real ones, without any model'"
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l texts -d 'Texts to be stored, one a paragraph, again and again if they are too few [default: made-up words]' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l seed -d 'What is random begins with this' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l rounds -d 'How often each is measured, in turn; the median counts, 1 to 100' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l only -d 'Of the others, only those whose name has this in it' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l directory -d 'Directory for what is written, on the disk that is to be measured' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l pg-host -d 'Directory of PostgreSQL\'s socket' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l pg-port -d 'Number in the socket\'s name' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l pg-user -d 'Superuser' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l against -d 'Compare with what --json gave earlier, and say what has become worse beyond the noise' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l peers -d 'Beside what else could be used, of what is installed here'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -l json -d 'One JSON object on standard output'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l episodes -d 'Episodes, 100 to 10000000' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l vectors -d 'Where vectors come from' -r -f -a "model\t'nexus-embed makes them of the texts'
mixture\t'A mixture that has the spectrum of real ones, without any model'"
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l texts -d 'Texts to be stored, one a paragraph, again and again if they are too few [default: made-up words]' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l seed -d 'What is random begins with this' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l rounds -d 'How often each is measured, in turn; the median counts, 1 to 100' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l only -d 'Of the others, only those whose name has this in it' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l directory -d 'Directory for what is written, on the disk that is to be measured' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l pg-host -d 'Directory of PostgreSQL\'s socket' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l pg-port -d 'Number in the socket\'s name' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l pg-user -d 'Superuser' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l against -d 'Compare with what --json gave earlier, and say what has become worse beyond the noise' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l peers -d 'Beside what else could be used, of what is installed here'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -l json -d 'One JSON object on standard output'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand idle" -l time -d 'For how long, 1s to 1h' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand idle" -l against -d 'Compare with what --json gave earlier, and say what has become worse beyond the noise' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand idle" -l peers -d 'Beside netdata and prometheus-node-exporter, of what is installed here'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand idle" -l json -d 'One JSON object on standard output'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand idle" -s h -l help -d 'Print help'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand boot" -l rounds -d 'How often; the median counts, 1 to 100' -r
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand boot" -l against -d 'Compare with what --json gave earlier, and say what has become worse beyond the noise' -r -F
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand boot" -l yes -d 'Do not ask before the living stack is stopped'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand boot" -l json -d 'One JSON object on standard output'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand boot" -s h -l help -d 'Print help'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "api" -d 'Insert and search over HTTP: p50, p95, p99, throughput, recall@10'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "backup" -d 'A backup: time, size, memory, and how far from the limit; beside others'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "restore" -d 'A restore: until the first answer, until all indexes are there; beside others'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "idle" -d 'What is resident: memory and processor time; beside others'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "boot" -d 'From the start of nexus.target until all is well; stops and starts the living stack'
complete -c nexus-bench -n "__fish_nexus_bench_using_subcommand help; and not __fish_seen_subcommand_from api backup restore idle boot help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
