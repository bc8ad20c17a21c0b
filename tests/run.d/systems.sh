# Tests the package on Debian 12 and Ubuntu 24.04, each in a machine that mmdebstrap makes.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

# The package's dependencies are in the image, because the machines have no network.
on_every_system=systemd,systemd-sysv,libpam-systemd,dbus,apt,init-system-helpers,iproute2,procps,ca-certificates,tzdata,curl,jq,python3,debconf,age,docker.io,docker-compose-v2

# apt_elsewhere DIR COMMAND…: runs apt-get with its own sources and state below DIR, where no package is installed.
apt_elsewhere() {
	local dir=$1
	shift
	apt-get -o Dir::Etc="$dir/etc" -o Dir::State="$dir/state" -o Dir::Cache="$dir/cache" -o Dir::State::status="$dir/status" \
		-o Acquire::Check-Valid-Until=false -o Acquire::Languages=none -o APT::Sandbox::User=root -qq "$@"
}

# apt_sources_in DIR LINE…: writes those sources below DIR, and fetches their lists.
apt_sources_in() {
	install -d "$1"/etc/{apt.conf.d,preferences.d,sources.list.d} "$1/state/lists/partial" "$1/cache/archives/partial"
	: >"$1/status"
	printf '%s\n' "${@:2}" >"$1/etc/sources.list"
	apt_elsewhere "$1" update
}

# dependencies_are_had LINE…: whether apt finds all dependencies of the package, on a machine without any.
dependencies_are_had() (
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	apt_sources_in "$dir" "$@" && apt_elsewhere "$dir" --simulate --no-install-recommends install "$(echo "$debs"/nexus_[!9]*.deb)" >/dev/null
)

debian_key=/usr/share/keyrings/debian-archive-keyring.gpg
ubuntu=http://archive.ubuntu.com/ubuntu
ubuntu_key=$tools/ubuntu-archive-keyring.gpg

# Takes Ubuntu's key from a package of Debian, which Debian's key signs.
need_ubuntu_key() {
	local dir
	[[ ! -s $ubuntu_key ]] || return 0
	dir=$(mktemp -d)
	apt_sources_in "$dir" "deb [signed-by=$debian_key] $debian_mirror trixie main"
	(cd "$dir" && apt_elsewhere "$dir" download ubuntu-keyring)
	dpkg-deb --fsys-tarfile "$dir"/ubuntu-keyring_*.deb | tar --extract --to-stdout ./usr/share/keyrings/ubuntu-archive-keyring.gpg >"$ubuntu_key"
	rm -rf "$dir"
}

# Debian 12 has Docker 20.10 and Compose 1.29. Those of Debian 13 run on it; the rest of Docker is from Debian 12.
# shellcheck disable=SC2016 # the hook's shell expands it
debian_12_hook='
mkdir -p "$1/etc/apt/preferences.d"
printf "Package: *\nPin: release n=trixie\nPin-Priority: -1\n\nPackage: docker.io docker-cli docker-compose containerd\nPin: release n=trixie\nPin-Priority: 990\n" >"$1/etc/apt/preferences.d/trixie"'

# system NAME: makes a machine of that name and system.
system() {
	local name=$1-$$ root hook=() suite include=$on_every_system key=$debian_key lines=()
	case $1 in
	debian12)
		suite=bookworm include=${include/docker-compose-v2/docker-cli,docker-compose} hook=(--setup-hook="$debian_12_hook")
		lines=("deb [signed-by=$debian_key] $debian_mirror bookworm main" "deb [signed-by=$debian_key] $debian_mirror trixie main")
		;;
	ubuntu2404)
		suite=noble key=$ubuntu_key
		lines=("deb [signed-by=$ubuntu_key] $ubuntu noble main universe" "deb [signed-by=$ubuntu_key] $ubuntu noble-updates main universe")
		;;
	esac
	root=${NEXUS_TEST_HOSTS:-/var/lib/nexus-test-hosts}/$name/root
	echo "$name" >>"$logs/.machines"
	as_root install -d "${root%/*}"
	as_root mmdebstrap --mode=root --variant=apt --keyring="$key" --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Sandbox::User "root"' --include="$include" "${hook[@]}" \
		--customize-hook="$PWD/tests/host/image/machine-finish.sh \"\$1\"" "$suite" "$root.partial" "${lines[@]}" >"$logs/.$1" 2>&1 ||
		{ tail -n 15 "$logs/.$1" >&2 && return 1; }
	printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" | as_root tee "$root.partial/etc/hosts" >/dev/null
	as_root mv "$root.partial" "$root"
	"$machine" up "$name"
	"$machine" exec "$name" -- docker load --quiet <"$images" >/dev/null
	"$machine" exec "$name" -- mkdir -p /root/nexus
	"$machine" copy "$name" tests/live /root/nexus/live
	"$machine" copy "$name" "$debs" /root/nexus/debs
	system_machine=$name
}

# Prints the container images of the usual machine, as a tar.
container_images() {
	local names
	mapfile -t names < <(sed -n '/^[^#]/s/ .*//p' tests/host/image/container-images)
	echo "images-$$" >>"$logs/.machines"
	"$machine" up "images-$$" >&2
	"$machine" exec "images-$$" -- docker save "${names[@]}"
	"$machine" down "images-$$" >&2
}

part_systems() {
	local passed=0 failed=0 debs images name debian_mirror status=0
	need mmdebstrap=mmdebstrap "${for_package[@]}"
	debian_mirror=$(mirror_of_debian)
	debs=$(mktemp -d)
	make_packages "$debs"
	need_ubuntu_key
	one apt-finds-all-for-debian-13 dependencies_are_had "deb [signed-by=$debian_key] $debian_mirror trixie main"
	one apt-finds-all-for-ubuntu-24.04 dependencies_are_had "deb [signed-by=$ubuntu_key] $ubuntu noble main universe" "deb [signed-by=$ubuntu_key] $ubuntu noble-updates main universe"
	printf '%d passed, %d failed\n' "$passed" "$failed"
	images=$(mktemp)
	container_images >"$images"
	for name in debian12 ubuntu2404; do
		system "$name"
		# shellcheck disable=SC2016 # the machine expands it
		"$machine" exec "$system_machine" -- sh -c '. /etc/os-release && echo "$PRETTY_NAME, $(systemctl --version | head -n 1), Docker $(docker version --format "{{.Server.Version}}"), Compose $(docker compose version --short)"'
		"$machine" exec "$system_machine" -- bash -c 'exec bash /root/nexus/live/package.sh /root/nexus/debs/nexus_[!9]*.deb' || status=$?
		"$machine" down "$system_machine"
	done
	rm -rf "$debs" "$images"
	((failed == 0 && status == 0))
}
