# How large the servers may be on this machine, and PostgreSQL's settings for that size.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

# MiB
memory_of_machine() { awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo; }

# between LOW VALUE HIGH
between() { echo $(($2 < $1 ? $1 : $2 > $3 ? $3 : $2)); }

# mebibytes SIZE: 512m, 2g, 2gb, 1048576k or bytes, in MiB.
mebibytes() {
	[[ $1 =~ ^([0-9]+)([bkmgBKMG]?)[bB]?$ ]] || stop 78 "'$1' in /etc/nexus/nexus.env is no size: write it like 512m or 4g"
	case ${BASH_REMATCH[2],} in
	g) echo $((BASH_REMATCH[1] * 1024)) ;;
	m) echo $((BASH_REMATCH[1])) ;;
	k) echo $((BASH_REMATCH[1] / 1024)) ;;
	*) echo $((BASH_REMATCH[1] / 1048576)) ;;
	esac
}

# Of PostgreSQL's memory: what one build of a vector index may use. The index of 100,000 episodes of 384 numbers takes
# about 200 MiB; one that fits in here is built several times faster than one that does not (pgvector's README, HNSW).
maintenance_memory() { between 64 $(($1 / 8)) 2048; }

# sizes_for MEMORY CPUS LIMITS: lines NAME=VALUE for nexus.env. LIMITS is no where the kernel cannot limit CPUs.
sizes_for() {
	local memory=$1 cpus=$2 limits=$3 postgres redis most=0
	postgres=$(between 512 $((memory / 2)) 32768)
	redis=$(between 64 $((memory / 32)) 2048)
	# One is left to the rest of the machine.
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

# postgres_settings MEMORY SHM CPUS: postgresql.conf for a container of MEMORY MiB, of which /dev/shm may hold SHM.
postgres_settings() {
	local memory=$1 shm=$2 cpus=$3 shared maintenance work autovacuum builders
	shared=$(between 128 $((memory / 4)) 8192)
	# Parallel builders of a vector index share it in /dev/shm, so it must fit in there too.
	maintenance=$(between 16 "$(maintenance_memory "$memory")" $((shm > 80 ? shm - 64 : 16)))
	work=$(between 4 $((memory / 128)) 64)
	autovacuum=$(between 32 $((memory / 32)) 256)
	builders=$(between 1 $((cpus / 2)) 4)
	cat <<-TEXT
		# PostgreSQL's settings, sized by nexus-setup for $memory MiB and $cpus CPUs. Change what you like: an upgrade keeps
		# a changed file and puts the new defaults beside it, as postgresql.conf.new.
		# After a change: systemctl restart nexus-stack

		# Unix socket only, and its directory (/run/nexus) is the gate: root and the group nexus.
		listen_addresses = ''
		unix_socket_directories = '/var/run/postgresql'
		unix_socket_permissions = 0777
		password_encryption = 'scram-sha-256'

		# A person, a few programs and the jobs.
		max_connections = 50

		# ---- Memory
		# PostgreSQL's own cache: a quarter of what it has; the rest is the system's cache and the sessions.
		shared_buffers = ${shared}MB
		# What the planner may suppose to be cached in all.
		effective_cache_size = $((memory * 3 / 4))MB
		# One sort or hash; a query may have several, and 50 sessions too.
		work_mem = ${work}MB
		# Building an index. A vector index is built several times faster when it fits in here.
		maintenance_work_mem = ${maintenance}MB
		# Three vacuums may run at once.
		autovacuum_work_mem = ${autovacuum}MB

		# ---- Writing
		# A commit is on disk when it says so.
		synchronous_commit = on
		# Half the log at some cost of CPU.
		wal_compression = lz4
		# Checkpoints by time, spread out, rather than by a burst of inserts.
		checkpoint_timeout = 15min
		checkpoint_completion_target = 0.9
		max_wal_size = 2GB
		min_wal_size = 256MB
		# Old segments of the log are removed, not kept to be used again: they hold what was forgotten since.
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
		# For building an index, besides the session that asks.
		max_parallel_maintenance_workers = $builders

		# ---- Time
		timezone = 'UTC'
		log_timezone = 'UTC'

		# ---- Log: what happened and to whom, never what was said. An episode or a password that a statement carries
		# must not end in a log file, so statements, their parameters and the details of errors (which quote rows) stay out.
		# (What is left: an error's own line may quote one bad value, such as a date that is none.)
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

		# A person's own settings, which win: in /etc/nexus/postgres/local.conf, which no upgrade touches.
		include_if_exists = 'local.conf'
	TEXT
}
