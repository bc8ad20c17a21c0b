complete -c nexus-api -l pg-host -d 'Directory of PostgreSQL\'s socket' -r
complete -c nexus-api -l pg-port -d 'Number in the socket\'s name' -r
complete -c nexus-api -l pg-database -d 'Database that holds the memory' -r
complete -c nexus-api -l pg-user -d 'Role of programs: row-level security must count for it' -r
complete -c nexus-api -l connections -d 'Connections to PostgreSQL, 1 to 64' -r
complete -c nexus-api -l redis-socket -d 'Socket of Redis' -r -F
complete -c nexus-api -l embed-socket -d 'Socket of nexus-embed' -r -F
complete -c nexus-api -l purge-socket -d 'Socket of nexus-purge' -r -F
complete -c nexus-api -l body -d 'Longest request, in bytes, with unit (k, m), 64k to 64m' -r
complete -c nexus-api -l content -d 'Longest text of an episode, in bytes, with unit (k, m), 1k to 16m' -r
complete -c nexus-api -l concurrency -d 'Requests at once, 1 to 1024; the next are told to try again' -r
complete -c nexus-api -l timeout -d 'Time for one request, 1s to 5min' -r
complete -c nexus-api -l rate -d 'Requests a minute that one client of this machine may make; 0 = as many as it likes' -r
complete -c nexus-api -l hosts -d 'Names by which programs reach it over TCP, besides 127.0.0.1, localhost and ::1, with commas between' -r
complete -c nexus-api -l outside-rate -d 'Requests a minute that one address of another machine may make, 1 to 100000' -r
complete -c nexus-api -l outside-calls -d 'What other machines may call besides /memory, /health and /stats, with commas between; export means import too' -r -f -a "metrics\t'`/metrics`'
export\t'`/memory/export` and `/memory/import`'"
complete -c nexus-api -l ef-search -d 'Candidates that a search by meaning looks at, 10 to 1000: more find more and take longer; auto = as many as so many rows need' -r
complete -c nexus-api -l embed-time -d 'Time that nexus-embed may take for the text of an episode, 10ms to 30s; later it is stored without its vector' -r
complete -c nexus-api -l cache -d 'Time that recent lists may be kept in Redis, 1s to 1h' -r
complete -c nexus-api -l working-items -d 'Items of the working memory, 1 to 100' -r
complete -c nexus-api -l working-ttl -d 'Time that an item stays in the working memory, 1s to 30d' -r
complete -c nexus-api -l listen -d 'Listen here, an address with its port or the path of a socket, where systemd hands over none; may be given again' -r
complete -c nexus-api -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-api -s V -l version -d 'Print version'
