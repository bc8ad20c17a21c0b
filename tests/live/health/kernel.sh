# Findings about processors, pressure, temperature and clock. The kernel's values depend on the whole host, so nexus-health sees files
# of the same form instead, and a systemd-timedated with a simulated clock state.
# shellcheck shell=bash disable=SC2154 # work is the caller's

kernel=/run/nexus-test-kernel
timedated=nexus-test-timedated.service

# Mounts the files over the kernel's own, only in nexus-health's mount namespace.
kernel_of_ours() {
	install -d "$kernel/pressure" "$kernel/thermal/thermal_zone0"
	processors_busy 1
	pressure 0.00
	temperature 41000
	install -d /run/systemd/system/nexus-health.service.d
	cat >/run/systemd/system/nexus-health.service.d/kernel.conf <<-TEXT
		[Service]
		BindReadOnlyPaths=$kernel/stat:/proc/stat $kernel/pressure:/proc/pressure $kernel/thermal:/sys/class/thermal
	TEXT
	systemctl daemon-reload
	clock_is_set
}
kernel_of_its_own() {
	pkill -F "$kernel/feeder" || true
	rm -rf /run/systemd/system/nexus-health.service.d "$kernel"
	systemctl daemon-reload
	systemctl stop "$timedated"
}

# processors_busy PERCENT: simulates this load from now on. A process updates the counters ten times a second, like the kernel.
processors_busy() {
	if [[ -e $kernel/feeder ]]; then pkill -F "$kernel/feeder"; fi
	python3 - "$kernel/stat" "$1" <<-'PYTHON' &
		import os, sys, time
		path, percent = sys.argv[1], int(sys.argv[2])
		try:
		    with open(path) as file: counts = [int(word) for word in file.read().split()[1:]]
		except FileNotFoundError:
		    counts = [0] * 10
		file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
		while True:
		    counts[0] += percent
		    counts[3] += 100 - percent
		    # Always the same length, in one write, so that a reader never sees half of it.
		    os.pwrite(file, ("cpu  " + " ".join(f"{count:012}" for count in counts) + "\n").encode(), 0)
		    time.sleep(0.1)
	PYTHON
	echo $! >"$kernel/feeder"
	await 10 test -s "$kernel/stat"
}

# pressure SHARE: simulates that percentage for all three resources.
pressure() {
	local kind
	for kind in cpu memory io; do
		printf 'some avg10=%s avg60=%s avg300=%s total=1\nfull avg10=%s avg60=%s avg300=%s total=1\n' "$1" "$1" "$1" "$1" "$1" "$1" >"$kernel/pressure/.new"
		mv "$kernel/pressure/.new" "$kernel/pressure/$kind"
	done
}

# temperature THOUSANDTHS: simulates it, in thousandths of a degree.
temperature() {
	echo "$1" >"$kernel/thermal/thermal_zone0/.new"
	mv "$kernel/thermal/thermal_zone0/.new" "$kernel/thermal/thermal_zone0/temp"
}

# The clock belongs to the host and must not change. systemd-timedated considers it synchronised if adjtimex(2) reports an error below
# 16 s, and a skipped call leaves 0 there; not if the call fails.
clock_is_set() { timedated_hears retval=0 yes; }
clock_is_not_set() { timedated_hears error=EPERM no; }
timedated_hears() {
	systemctl stop systemd-timedated.service "$timedated" 2>/dev/null || true
	systemd-run --quiet --collect --unit="$timedated" strace --follow-forks --quiet=all --output=/dev/null \
		--inject="adjtimex,clock_adjtime:$1" /usr/lib/systemd/systemd-timedated
	await 120 synchronized "$2"
}
synchronized() { [[ $(timedatectl show --property=NTPSynchronized --value) == "$1" ]]; }
