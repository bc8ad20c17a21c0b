# Checks what this machine lacks. A `missing` line stops an installation, and so does a `wrong` line about /etc/nexus; a `note` does
# not. Each line says what is wrong and how to correct it.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

found_missing=0 found_wrong=0

missing() {
	printable "missing  $1: $2"
	found_missing=$((found_missing + 1))
}
note() { printable "note     $1: $2"; }
wrong() {
	printable "wrong    $1"
	found_wrong=$((found_wrong + 1))
}

check_machine() {
	found_missing=0 found_wrong=0
	check_systemd
	check_sandbox
	check_docker
	check_tools
	# Only install.sh builds the helpers.
	if declare -F check_build >/dev/null; then check_build; fi
	check_size
	check_clock
	check_port
	check_files
	((found_missing == 0)) || stop 69 "unmet requirements: $found_missing (see above). Meet them, then run $program again"
	((found_wrong == 0)) || stop 78 "problems in /etc/nexus: $found_wrong (see above). Correct them, then run $program again"
	say "nothing is missing"
}

check_systemd() {
	local version
	if ! command -v systemctl >/dev/null; then
		missing "systemd 252 or newer" "use a system that has it, such as Debian 12 or newer"
		return
	fi
	version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
	at_least "$version" 252 || missing "systemd 252 or newer (this is $version)" "upgrade the system: Debian 12 and Ubuntu 24.04 have it"
	[[ -d /run/systemd/system ]] || missing "systemd as the first process" "boot this machine with systemd, or try NEXUS with ./install.sh --try"
	[[ $(stat --file-system --format=%T /sys/fs/cgroup) == cgroup2fs ]] ||
		missing "cgroup v2" "add systemd.unified_cgroup_hierarchy=1 to the kernel's command line and boot again"
}

check_docker() {
	local info server compose
	if ! command -v docker >/dev/null; then
		missing "Docker 25 or newer with Compose" "apt-get install docker.io docker-cli docker-compose (Ubuntu: docker.io docker-compose-v2; Debian 12 has an older one: see https://docs.docker.com/engine/install/debian/)"
		return
	fi
	if compose=$(docker compose version --short 2>/dev/null); then
		at_least "${compose#v}" 2.24 ||
			missing "Docker Compose 2.24 or newer (this is $compose)" "see https://docs.docker.com/engine/install/"
	else
		missing "Docker Compose" "apt-get install docker-compose (Ubuntu: docker-compose-v2; Docker's own packages: docker-compose-plugin)"
	fi
	if ! info=$(timeout 60 docker info --format '{{.ServerVersion}} {{.CgroupDriver}} {{.CPUCfsQuota}} {{.MemoryLimit}} {{.SecurityOptions}} {{.Warnings}}' 2>&1) ||
		! server=$(docker version --format '{{.Server.Version}}' 2>/dev/null); then
		if ((EUID != 0)); then
			missing "permission to use Docker's daemon" "sudo $program --check"
		else
			missing "a running Docker daemon" "systemctl enable --now docker; if it runs but does not answer within a minute: systemctl restart docker"
		fi
		return
	fi
	at_least "$server" 25 || missing "Docker 25 or newer (this is $server)" "see https://docs.docker.com/engine/install/"
	at_least "$server" 28 ||
		note "Docker $server lets neighbours on the same network reach ports published on 127.0.0.1 (moby#45610)" \
			"NEXUS publishes none; upgrade to 28 before you publish one"
	check_docker_settings "$info"
	check_logins
}

# Checks Docker's credential helpers in root's settings. One that is not installed makes every pull fail; Docker Desktop leaves such
# entries behind.
check_logins() {
	local file=/root/.docker/config.json helper
	[[ -r $file ]] || return 0
	while IFS= read -r helper; do
		command -v "docker-credential-$helper" >/dev/null ||
			missing "docker-credential-$helper, which $file names (credsStore or credHelpers), so that no image can be fetched" "remove that entry from $file, and log in again where you need to: docker login"
	done < <(tr -d '\n' <"$file" | grep -oE '"credsStore"[[:space:]]*:[[:space:]]*"[^"]*"|"credHelpers"[[:space:]]*:[[:space:]]*\{[^}]*\}' |
		sed 's/^"credHelpers"[^{]*//' | grep -oE ':[[:space:]]*"[^"]+"' | sed 's/.*"\(.*\)"/\1/' | sort -u)
}

# $1: version, cgroup driver, CPU limits, memory limits, security options, warnings.
check_docker_settings() {
	local driver cpu memory rest
	read -r _ driver cpu memory rest <<<"${1//$'\n'/ }"
	[[ $driver == systemd ]] ||
		missing "systemd as Docker's cgroup driver (this is $driver)" \
			"put {\"exec-opts\": [\"native.cgroupdriver=systemd\"]} in /etc/docker/daemon.json; systemctl restart docker"
	[[ $rest != *name=userns* && $rest != *name=rootless* ]] ||
		missing "Docker without user namespaces or rootless mode" "remove userns-remap from /etc/docker/daemon.json, or use the system's Docker"
	[[ $rest != *"API is accessible"* ]] ||
		note "Docker's API is open on the network and gives root on this machine" "remove -H tcp://… from the daemon's options"
	[[ $cpu == true ]] ||
		note "this kernel has no CPU controller for containers" "CPU limits are left out (NEXUS_POSTGRES_CPUS=0, NEXUS_REDIS_CPUS=0)"
	[[ $memory == true ]] ||
		note "this kernel has no memory controller for containers" "memory limits have no effect; on Raspberry Pi OS add cgroup_enable=memory to /boot/firmware/cmdline.txt"
}

check_tools() {
	local tool package
	while read -r tool package; do
		command -v "$tool" >/dev/null || missing "$tool" "apt-get install $package"
	done <<-'LIST'
		age-keygen age
		sha256sum coreutils
		flock util-linux
		gzip gzip
		userdel passwd
	LIST
}

check_size() {
	local memory place free least=4096
	# An upgrade needs little space, and may be what frees some.
	if [[ -s $recipients ]]; then least=256; fi
	memory=$(memory_of_machine)
	((memory >= 900)) || missing "1 GiB of memory (this machine has $memory MiB)" "add memory; 8 GiB are recommended"
	((memory < 900 || memory >= 3500)) || note "this machine has only $memory MiB of memory" "8 GiB are recommended"
	for place in "$(docker_root)" /var/lib/nexus; do
		free=$(free_near "$place")
		((free >= least)) || missing "$least MiB of free disk for $place (there are $free MiB)" "make room there, or move it to a larger disk"
		((free < least || free >= 20480)) || note "there are only $free MiB of free disk for $place" "50 GiB are recommended"
	done
}

# Prints Docker's directory, which holds its volumes. data-root in /etc/docker/daemon.json may have moved it.
docker_root() {
	local root
	root=$(timeout 60 docker info --format '{{.DockerRootDir}}' 2>/dev/null) || root=''
	printf '%s' "${root:-/var/lib/docker}"
}

# Prints the free MiB on the disk that holds $1, or will hold it.
free_near() {
	local place=$1
	while [[ ! -e $place ]]; do place=$(dirname "$place"); done
	df --output=avail --block-size=1M "$place" | tail -n 1 | tr -d ' '
}

check_clock() {
	local zone
	zone=$(readlink -f /etc/localtime || true)
	zone=${zone#/usr/share/zoneinfo/}
	if [[ -z $zone || $zone == /etc/localtime ]]; then
		missing "a time zone" "timedatectl set-timezone Europe/Madrid (or yours)"
	elif [[ $zone == UTC || $zone == Etc/UTC ]]; then
		note "the time zone is UTC, so the nightly backup is at 04:00 UTC" "to change it: timedatectl set-timezone Europe/Madrid (or yours)"
	fi
}

# Stops before anything changes, if NEXUS_USER cannot be used.
require_user() {
	local refusal
	refusal=$(refused_user)
	[[ -z $refusal ]] || stop 78 "$refusal"
}

# Checks the files that the owner may edit.
check_files() {
	local line file token=$keys/api_token
	for file in "$settings" "$recipients"; do
		[[ ! -e $file || -r $file ]] || note "$file cannot be read" "sudo $program --check"
	done
	# As helpers/nexus-api/src/http/gate.rs: with such a token nexus-api does not start.
	if [[ -r $token ]] && (($(head -n 1 "$token" | tr -d '\n' | wc --bytes) < 32)); then
		wrong "$token has fewer than 32 characters and could be guessed: sudo sh -c 'umask 077 && head -c 24 /dev/urandom | base64 >$token', and give it to every program"
	fi
	while IFS= read -r line; do wrong "$line"; done < <(refused_settings "$settings" && refused_recipients "$recipients" && refused_user)
}
