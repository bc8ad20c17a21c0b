# Tests what install.sh refuses, and what it reports as missing.
# shellcheck shell=bash disable=SC2154 # clone, owner and work are those of tests/live/install.sh

wrong_usage() {
	exits 64 "there is no option '--foo'" "$clone/install.sh" --foo
	exits 64 "--purge goes with --uninstall" "$clone/install.sh" --purge
	exits 64 "one command at a time" "$clone/install.sh" --check --uninstall
	exits 64 "--bin-dir needs a path" "$clone/install.sh" --bin-dir
	exits 64 "--remote needs caddy" "$clone/install.sh" --remote=x
	exits 69 "no program nexus-" "$clone/install.sh" --yes --bin-dir "$work" --owner-identity "$owner"
	exits 64 "an owner must be chosen" "$clone/install.sh" --yes --bin-dir "$clone/bin"
	nothing_is_left
}

# with_hidden FILE COMMAND…: runs COMMAND without FILE.
with_hidden() {
	local file=$1 status=0
	shift
	mv "$file" "$file.hidden"
	"$@" || status=$?
	mv "$file.hidden" "$file"
	return "$status"
}

check_names_what_is_missing() {
	exits 0 "nothing is missing" "$clone/install.sh" --check --bin-dir "$clone/bin"
	with_hidden "$(command -v age-keygen)" exits 69 "missing  age-keygen: apt-get install age" "$clone/install.sh" --check --bin-dir "$clone/bin"
	with_hidden "$(command -v docker)" exits 69 "apt-get install docker.io" "$clone/install.sh" --check --bin-dir "$clone/bin"
	exits 69 "missing  cargo" "$clone/install.sh" --check
	systemctl stop docker.socket docker.service
	exits 69 "missing  a running Docker daemon: systemctl enable --now docker" "$clone/install.sh" --check --bin-dir "$clone/bin"
	start_docker
}

# A host of containers removes sandbox properties from every unit; the message names the file.
check_tries_a_unit() {
	local directory=/run/systemd/system/service.d file setting
	file=$directory/zzz-lxc-service.conf
	install -d "$directory"
	for setting in LoadCredential= PrivateNetwork=no PrivateUsers=no NoNewPrivileges=no; do
		printf '[Service]\n%s\n' "$setting" >"$file"
		systemctl daemon-reload
		exits 69 "then disable $file, which changes every service: " "$clone/install.sh" --check --bin-dir "$clone/bin"
		exits 69 "missing  ${setting%%=*}=" "$clone/install.sh" --check --bin-dir "$clone/bin"
	done
	# As the message advises.
	mkdir -p /etc/systemd/system/service.d
	ln -s /dev/null /etc/systemd/system/service.d/zzz-lxc-service.conf
	systemctl daemon-reload
	exits 0 "nothing is missing" "$clone/install.sh" --check --bin-dir "$clone/bin"
	rm -r "$directory" /etc/systemd/system/service.d
	# A unit that does not start at all.
	same "names" "$(. "$clone/install.d/setup/say.sh" && . "$clone/install.d/setup/check.sh" && . "$clone/install.d/setup/sandbox.sh" && program=x needed_by_units=(LoadCredential= RootDirectory=/nowhere) && check_sandbox | cut -d: -f1)" \
		"missing  RootDirectory=/nowhere for units"
	systemctl daemon-reload
	nothing_is_left
}

# Docker's directory may be on a different disk from /var/lib.
check_asks_docker_for_its_place() {
	local place=/mnt/small
	install -d "$place"
	mount -t tmpfs -o size=64m tmpfs "$place"
	[[ ! -e /etc/docker/daemon.json ]] || mv /etc/docker/daemon.json "$work"
	echo '{"data-root": "/mnt/small/docker"}' >/etc/docker/daemon.json
	systemctl stop docker.socket docker.service
	start_docker
	exits 69 "MiB of free disk for $place/docker" "$clone/install.sh" --check --bin-dir "$clone/bin"
	systemctl stop docker.socket docker.service
	rm /etc/docker/daemon.json
	[[ ! -e $work/daemon.json ]] || mv "$work/daemon.json" /etc/docker
	umount "$place"
	rmdir "$place"
	start_docker
	exits 0 "nothing is missing" "$clone/install.sh" --check --bin-dir "$clone/bin"
}

# As Docker Desktop leaves it.
check_names_a_login_helper_that_is_gone() {
	install -d /root/.docker
	[[ ! -e /root/.docker/config.json ]] || mv /root/.docker/config.json "$work/config.json"
	echo '{ "auths": {"https://index.docker.io/v1/": {}}, "credsStore" : "desktop", "credHelpers": { "ghcr.io": "gone" }, "currentContext": "default" }' >/root/.docker/config.json
	exits 69 "missing  docker-credential-desktop, which /root/.docker/config.json names" "$clone/install.sh" --check --bin-dir "$clone/bin"
	exits 69 "missing  docker-credential-gone, which" "$clone/install.sh" --check --bin-dir "$clone/bin"
	rm /root/.docker/config.json
	[[ ! -e $work/config.json ]] || mv "$work/config.json" /root/.docker
}

# As user nobody; checks only files.
packagers_get_files() {
	local stage=$work/stage
	install -d -o nobody "$stage"
	cp -a "$clone" "$work/clone"
	chmod -R a+rX "$work"
	DESTDIR=$stage setpriv --reuid=nobody --clear-groups "$work/clone/install.sh" --bin-dir "$work/clone/bin" >/dev/null
	test -x "$stage/usr/local/bin/nexus-backup"
	same "files of nexus-bench" "$(find "$stage" -name '*nexus-bench*')" ""
	test -f "$stage/usr/local/lib/systemd/system/nexus-backup.timer"
	test -f "$stage/usr/local/share/nexus/compose/docker-compose.yml"
	test -x "$stage/usr/local/sbin/nexus-setup"
	DESTDIR=$stage setpriv --reuid=nobody --clear-groups "$work/clone/install.sh" --bin-dir "$work/clone/bin" --with-bench PREFIX=/usr >/dev/null
	test -x "$stage/usr/bin/nexus-bench"
	test -f "$stage/usr/share/man/man8/nexus-bench.8"
	same "paths of another prefix" "$(grep -rlF /usr/local/share/nexus "$stage"/usr/{lib,sbin,share/man,share/nexus} || true)" ""
	exits 64 "PREFIX goes with DESTDIR only" "$clone/install.sh" PREFIX=/usr
	nothing_is_left
}

not_without_root() { exits 77 "needs root" with_hidden "$(command -v sudo)" setpriv --reuid=nobody --clear-groups "$work/clone/install.sh" --bin-dir "$work/clone/bin"; }
