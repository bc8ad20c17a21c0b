# What install.sh refuses, and what it says is missing.
# shellcheck shell=bash disable=SC2154 # clone, owner and work are those of tests/live/install.sh

wrong_usage() {
	exits 64 "there is no option '--foo'" "$clone/install.sh" --foo
	exits 64 "--purge goes with --uninstall" "$clone/install.sh" --purge
	exits 64 "one command at a time" "$clone/install.sh" --check --uninstall
	exits 64 "--bin-dir needs a path" "$clone/install.sh" --bin-dir
	exits 69 "no program nexus-" "$clone/install.sh" --yes --bin-dir "$work" --owner-identity "$owner"
	exits 64 "an owner must be chosen" "$clone/install.sh" --yes --bin-dir "$clone/bin"
	nothing_is_left
}

# with_hidden FILE COMMAND…: FILE is not there meanwhile.
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
	systemctl start docker
}

# As nobody, and by the files alone.
packagers_get_files() {
	local stage=$work/stage
	install -d -o nobody "$stage"
	cp -a "$clone" "$work/clone"
	chmod -R a+rX "$work"
	DESTDIR=$stage setpriv --reuid=nobody --clear-groups "$work/clone/install.sh" --bin-dir "$work/clone/bin" >/dev/null
	test -x "$stage/usr/local/bin/nexus-backup"
	test -f "$stage/usr/local/lib/systemd/system/nexus-backup.timer"
	test -f "$stage/usr/local/share/nexus/compose/docker-compose.yml"
	test -x "$stage/usr/local/sbin/nexus-setup"
	DESTDIR=$stage setpriv --reuid=nobody --clear-groups "$work/clone/install.sh" --bin-dir "$work/clone/bin" PREFIX=/usr >/dev/null
	same "paths of another prefix" "$(grep -rlF /usr/local/share/nexus "$stage"/usr/{lib,sbin,share/man,share/nexus} || true)" ""
	exits 64 "PREFIX goes with DESTDIR only" "$clone/install.sh" PREFIX=/usr
	nothing_is_left
}

not_without_root() { exits 77 "needs root" with_hidden "$(command -v sudo)" setpriv --reuid=nobody --clear-groups "$work/clone/install.sh" --bin-dir "$work/clone/bin"; }
