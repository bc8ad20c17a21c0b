complete -c nexus-api -l pg-host -d 'Directory of PostgreSQL\'s socket' -r
complete -c nexus-api -l pg-port -d 'Port, 1 to 65535; the name of the socket file contains it too' -r
complete -c nexus-api -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-api -l pg-user -d 'PostgreSQL role of nexus-api; row-level security must apply to it' -r
complete -c nexus-api -l connections -d 'Connections to PostgreSQL, 1 to 64' -r
complete -c nexus-api -l redis-socket -d 'Socket of Redis' -r -F
complete -c nexus-api -l embed-socket -d 'Socket of nexus-embed' -r -F
complete -c nexus-api -l purge-socket -d 'Socket of nexus-purge' -r -F
complete -c nexus-api -l body -d 'Longest request, in bytes, with unit (k, m), 64k to 20m' -r
complete -c nexus-api -l content -d 'Longest text of an episode, in bytes, with unit (k, m), 1k to 16m' -r
complete -c nexus-api -l concurrency -d 'Requests answered at once, 1 to 1024; more get status 503' -r
complete -c nexus-api -l timeout -d 'Time for one request, 1s to 5min' -r
complete -c nexus-api -l rate -d 'Requests a minute for each client on this machine; 0 = no limit' -r
complete -c nexus-api -l hosts -d 'Host names accepted over TCP besides 127.0.0.1, localhost and ::1, separated by commas' -r
complete -c nexus-api -l outside-rate -d 'Requests a minute for each address of another machine, 1 to 100000' -r
complete -c nexus-api -l outside-calls -d 'Calls for other machines besides /memory, /health and /stats, separated by commas; export includes import' -r -f -a "metrics\t'`/metrics`'
export\t'`/memory/export` and `/memory/import`'"
complete -c nexus-api -l ef-search -d 'Candidates of a search by meaning, 10 to 1000: more find more and take longer; auto = by the number of rows' -r
complete -c nexus-api -l embed-time -d 'Time limit for the vector of a new episode, 10ms to 30s; after it the episode is stored without one' -r
complete -c nexus-api -l cache -d 'Time that recent lists stay in Redis, 1s to 1h' -r
complete -c nexus-api -l working-items -d 'Items of the working memory, 1 to 100' -r
complete -c nexus-api -l working-ttl -d 'Time that an item stays in the working memory, 1s to 30d' -r
complete -c nexus-api -l listen -d 'Address and port, or path of a socket, to listen on if systemd passes none; repeatable' -r
complete -c nexus-api -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-api -s V -l version -d 'Print version'
