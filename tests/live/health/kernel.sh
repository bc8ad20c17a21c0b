# What the kernel says of processors, pressure, temperature and clock. The whole machine under this one has its own say in
# those, so nexus-health is shown files of the same form in their place, and a systemd-timedated that believes its clock.
# shellcheck shell=bash disable=SC2154 # work is the caller's

kernel=/run/nexus-test-kernel
timedated=nexus-test-timedated.service

# The files lie over the kernel's own in nexus-health's mount namespace alone.
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

# processors_busy PERCENT: from now on. A process counts on, as the kernel would, ten times a second.
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
		    # Of one length, in one go: nobody reads half of it.
		    os.pwrite(file, ("cpu  " + " ".join(f"{count:012}" for count in counts) + "\n").encode(), 0)
		    time.sleep(0.1)
	PYTHON
	echo $! >"$kernel/feeder"
	await 10 test -s "$kernel/stat"
}

# pressure SHARE: percent of the time, for all three.
pressure() {
	local kind
	for kind in cpu memory io; do
		printf 'some avg10=%s avg60=%s avg300=%s total=1\nfull avg10=%s avg60=%s avg300=%s total=1\n' "$1" "$1" "$1" "$1" "$1" "$1" >"$kernel/pressure/.new"
		mv "$kernel/pressure/.new" "$kernel/pressure/$kind"
	done
}

# temperature THOUSANDTHS
temperature() {
	echo "$1" >"$kernel/thermal/thermal_zone0/.new"
	mv "$kernel/thermal/thermal_zone0/.new" "$kernel/thermal/thermal_zone0/temp"
}

# The clock is the host's, and not to be touched. systemd-timedated takes it for synchronised when the kernel's answer to
# adjtimex(2) names an error below 16 s, and an answer that never came names 0; not when the kernel refuses.
clock_is_set() { timedated_hears retval=0 yes; }
clock_is_not_set() { timedated_hears error=EPERM no; }
timedated_hears() {
	systemctl stop systemd-timedated.service "$timedated" 2>/dev/null || true
	systemd-run --quiet --collect --unit="$timedated" strace --follow-forks --quiet=all --output=/dev/null \
		--inject="adjtimex,clock_adjtime:$1" /usr/lib/systemd/systemd-timedated
	await 120 synchronized "$2"
}
synchronized() { [[ $(timedatectl show --property=NTPSynchronized --value) == "$1" ]]; }
