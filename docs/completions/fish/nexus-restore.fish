# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_nexus_restore_global_optspecs
    string join \n h/help V/version
end

function __fish_nexus_restore_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_nexus_restore_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_nexus_restore_using_subcommand
    set -l cmd (__fish_nexus_restore_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c nexus-restore -n "__fish_nexus_restore_needs_command" -s h -l help -d 'Print help'
complete -c nexus-restore -n "__fish_nexus_restore_needs_command" -s V -l version -d 'Print version'
complete -c nexus-restore -n "__fish_nexus_restore_needs_command" -f -a "list" -d 'Lists the sets: time, size, tables, rows, proven or not'
complete -c nexus-restore -n "__fish_nexus_restore_needs_command" -f -a "show" -d 'Shows what a set holds'
complete -c nexus-restore -n "__fish_nexus_restore_needs_command" -f -a "verify" -d 'Checks that every file of a set is whole; needs no key'
complete -c nexus-restore -n "__fish_nexus_restore_needs_command" -f -a "apply" -d 'Restores a set beside the live database, compares every row, then swaps the two'
complete -c nexus-restore -n "__fish_nexus_restore_needs_command" -f -a "finish" -d 'Finishes an interrupted restore: builds its vector indexes and puts its purge ledger in place'
complete -c nexus-restore -n "__fish_nexus_restore_needs_command" -f -a "undo" -d 'Swaps back to the database that a restore has replaced'
complete -c nexus-restore -n "__fish_nexus_restore_needs_command" -f -a "drop-kept" -d 'Removes a replaced database that NEXUS still keeps'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand list" -l backup-dir -d 'Directory that holds the backup sets' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand list" -l identity -d 'File with the age identity to decrypt with [default: this machine\'s own]' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand list" -l proofs-dir -d 'Directory of the proofs that nexus-restore-test writes' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand list" -l json -d 'Print one JSON object to standard output'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand list" -s h -l help -d 'Print help'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand show" -l backup-dir -d 'Directory that holds the backup sets' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand show" -l identity -d 'File with the age identity to decrypt with [default: this machine\'s own]' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand show" -l json -d 'Print one JSON object to standard output'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand show" -s h -l help -d 'Print help'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand verify" -l backup-dir -d 'Directory that holds the backup sets' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand verify" -l json -d 'Print one JSON object to standard output'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand verify" -s h -l help -d 'Print help'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l backup-dir -d 'Directory that holds the backup sets' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l identity -d 'File with the age identity to decrypt with [default: this machine\'s own]' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l into -d 'Restore into a new database of this name and leave the live one alone' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l without -d 'Leave out what cannot be restored, by the name in the error message: the rows of a table, an index, a constraint, a trigger; may be given several times' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l search-path -d 'search_path to use while rows are loaded, for constraints and generated columns whose functions use names without a schema [default: the search_path of the database\'s sessions]' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l reserve -d 'Space to leave free on the server\'s disks for the log of the live database, in MiB; the restore stops when less is free [default: a twentieth of the disk, 256 to 4096]' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l jobs -d 'Tables to restore at once, 1 to 16' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l purge-ledger -d 'The ledger of what nexus-purge has forgotten' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l max-share -d 'Percent of a table that may be forgotten without asking, 1 to 100' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l referring -d 'What to do with rows of other tables that refer to a forgotten row, where their foreign key forbids its deletion' -r -f -a "stop\t'Delete nothing, and name the table that refers'
set-null\t'Keep those rows without the reference; like stop if the column is NOT NULL'
cascade\t'Delete those rows too'"
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l redis-copies -d 'Prefixes of the Redis keys that hold copies of episodes; the id of the episode follows the prefix. none = no such keys' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l redis-socket -d 'Socket of Redis' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l pg-host -d 'Directory of PostgreSQL\'s socket, or a host name' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l pg-user -d 'Role of the jobs: superuser, or one with BYPASSRLS that may read every table' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l docker-socket -d 'Socket of nexus-docker' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l pg-restore -d 'Command to use in place of pg_restore in the container, for a server outside Compose' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l json -d 'Print one JSON object to standard output'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l serve-early -d 'Swap once rows and keys are restored and compared, and build the vector indexes while programs use the database: until they are built, searches by meaning are exact but slower'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l yes -d 'Replace the live database without asking'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l no-safety-backup -d 'Do not back up the live database before replacing it (it is kept in any case)'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -l no-redis -d 'Leave Redis as it is'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand finish" -l purge-ledger -d 'The ledger of what nexus-purge has forgotten' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand finish" -l pg-host -d 'Directory of PostgreSQL\'s socket, or a host name' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand finish" -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand finish" -l pg-user -d 'Role of the jobs: superuser, or one with BYPASSRLS that may read every table' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand finish" -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand finish" -l json -d 'Print one JSON object to standard output'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand finish" -s h -l help -d 'Print help'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand undo" -l purge-ledger -d 'The ledger of what nexus-purge has forgotten' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand undo" -l max-share -d 'Percent of a table that may be forgotten without asking, 1 to 100' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand undo" -l referring -d 'What to do with rows of other tables that refer to a forgotten row, where their foreign key forbids its deletion' -r -f -a "stop\t'Delete nothing, and name the table that refers'
set-null\t'Keep those rows without the reference; like stop if the column is NOT NULL'
cascade\t'Delete those rows too'"
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand undo" -l pg-host -d 'Directory of PostgreSQL\'s socket, or a host name' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand undo" -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand undo" -l pg-user -d 'Role of the jobs: superuser, or one with BYPASSRLS that may read every table' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand undo" -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand undo" -l yes -d 'Do not ask'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand undo" -l json -d 'Print one JSON object to standard output'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand undo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand drop-kept" -l purge-ledger -d 'The ledger of what nexus-purge has forgotten' -r -F
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand drop-kept" -l pg-host -d 'Directory of PostgreSQL\'s socket, or a host name' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand drop-kept" -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand drop-kept" -l pg-user -d 'Role of the jobs: superuser, or one with BYPASSRLS that may read every table' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand drop-kept" -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand drop-kept" -l yes -d 'Do not ask'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand drop-kept" -l json -d 'Print one JSON object to standard output'
complete -c nexus-restore -n "__fish_nexus_restore_using_subcommand drop-kept" -s h -l help -d 'Print help'
