# Chooses the servers' limits for this machine, and PostgreSQL's settings for them.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

# Prints the machine's memory in MiB.
memory_of_machine() { awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo; }

# between LOW VALUE HIGH: prints VALUE, or the limit that it exceeds.
between() { echo $(($2 < $1 ? $1 : $2 > $3 ? $3 : $2)); }

# mebibytes SIZE: prints a size such as 512m, 2g, 2gb, 1048576k or bytes, in MiB.
mebibytes() {
	[[ $1 =~ ^([0-9]+)([bkmgBKMG]?)[bB]?$ ]] || stop 78 "'$1' in /etc/nexus/nexus.env is not a size: write it like 512m or 4g"
	case ${BASH_REMATCH[2],} in
	g) echo $((BASH_REMATCH[1] * 1024)) ;;
	m) echo $((BASH_REMATCH[1])) ;;
	k) echo $((BASH_REMATCH[1] / 1024)) ;;
	*) echo $((BASH_REMATCH[1] / 1048576)) ;;
	esac
}

# maintenance_memory MIB: prints how much of PostgreSQL's memory one build of a vector index may use. The index of 100,000 episodes of
# 384 numbers takes about 200 MiB. The build is several times faster if the index fits (pgvector's README, HNSW).
maintenance_memory() { between 64 $(($1 / 8)) 2048; }

# sizes_for MEMORY CPUS LIMITS: prints lines NAME=VALUE for nexus.env. LIMITS is no if the kernel cannot limit CPUs.
sizes_for() {
	local memory=$1 cpus=$2 limits=$3 postgres redis most=0
	postgres=$(between 512 $((memory / 2)) 32768)
	redis=$(between 64 $((memory / 32)) 2048)
	# Leave one to the rest of the machine.
	if [[ $limits != no ]] && ((cpus > 1)); then most=$((cpus - 1)); fi
	cat <<-TEXT
		NEXUS_POSTGRES_MEMORY=${postgres}m
		NEXUS_POSTGRES_CPUS=$most
		NEXUS_POSTGRES_SHM=$(($(maintenance_memory "$postgres") + 128))m
		NEXUS_REDIS_MEMORY=$((redis * 2 + 64))m
		NEXUS_REDIS_MAXMEMORY=${redis}mb
		NEXUS_REDIS_CPUS=$((most > 0 ? 1 : 0))
	TEXT
}

# postgres_settings MEMORY SHM CPUS: prints postgresql.conf for a container of MEMORY MiB, of which /dev/shm may hold SHM.
postgres_settings() {
	local memory=$1 shm=$2 cpus=$3 shared maintenance work autovacuum builders
	shared=$(between 128 $((memory / 4)) 8192)
	# Parallel builders of a vector index share it in /dev/shm, so it must fit in there too.
	maintenance=$(between 16 "$(maintenance_memory "$memory")" $((shm > 80 ? shm - 64 : 16)))
	work=$(between 4 $((memory / 128)) 64)
	autovacuum=$(between 32 $((memory / 32)) 256)
	builders=$(between 1 $((cpus / 2)) 4)
	cat <<-TEXT
		# PostgreSQL's settings, sized by nexus-setup for $memory MiB and $cpus CPUs. You may change them: an upgrade keeps a
		# changed file and writes the new defaults to postgresql.conf.new.
		# After a change: systemctl restart nexus-stack

		# Unix socket only. Its directory (/run/nexus) lets in root and the group nexus.
		listen_addresses = ''
		unix_socket_directories = '/var/run/postgresql'
		unix_socket_permissions = 0777
		password_encryption = 'scram-sha-256'

		# Enough for a person, a few programs and the jobs.
		max_connections = 50

		# ---- Memory
		# PostgreSQL's own cache: a quarter of its memory. The rest is for the system's cache and the sessions.
		shared_buffers = ${shared}MB
		# How much the planner assumes to be cached in all.
		effective_cache_size = $((memory * 3 / 4))MB
		# For one sort or hash. A query may have several, and so may each of 50 sessions.
		work_mem = ${work}MB
		# For building an index. A vector index that fits is built several times faster.
		maintenance_work_mem = ${maintenance}MB
		# For each of three vacuums.
		autovacuum_work_mem = ${autovacuum}MB

		# ---- Writing
		# A commit returns once it is on disk.
		synchronous_commit = on
		# Halves the log for some CPU time.
		wal_compression = lz4
		# Checkpoints follow the clock and are spread out, instead of following bursts of inserts.
		checkpoint_timeout = 15min
		checkpoint_completion_target = 0.9
		max_wal_size = 2GB
		min_wal_size = 256MB
		# Removes old segments of the log instead of reusing them, because they hold what was forgotten since.
		wal_recycle = off

		# ---- Planning, for SSDs
		random_page_cost = 1.1
		effective_io_concurrency = 64
		# Compiling a query takes longer than these queries do.
		jit = off

		# ---- CPUs
		max_worker_processes = $(between 8 "$cpus" 64)
		max_parallel_workers = $(between 1 "$cpus" 64)
		max_parallel_workers_per_gather = $(between 0 $((cpus / 2)) 4)
		# For building an index, besides the session itself.
		max_parallel_maintenance_workers = $builders

		# ---- Time
		timezone = 'UTC'
		log_timezone = 'UTC'

		# ---- Log: events, never content. A statement may carry an episode or a password, so the log has no statements, no
		# parameters and no details of errors, which quote rows.
		# (An error's own line may still quote one bad value, such as an invalid date.)
		log_destination = 'stderr'
		log_line_prefix = '%m [%p] %q%u@%d '
		log_statement = 'none'
		log_min_duration_statement = -1
		log_min_error_statement = panic
		log_parameter_max_length = 0
		log_parameter_max_length_on_error = 0
		log_error_verbosity = terse
		log_checkpoints = on
		log_lock_waits = on
		log_autovacuum_min_duration = 10s

		# Your own settings in /etc/nexus/postgres/local.conf win over these. No upgrade touches that file.
		include_if_exists = 'local.conf'
	TEXT
}
