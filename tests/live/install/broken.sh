# Tests who can install, and that the next run can continue after a broken one.
# shellcheck shell=bash disable=SC2154 # clone, owner and work are those of tests/live/install.sh

# A person with sudo and cargo (a stand-in that only copies): cargo runs as that person, the installation as root.
person_with_sudo() {
	local home=/home/person how
	useradd --create-home --shell /bin/bash person
	echo 'person ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/person
	cp -a "$clone" "$home/nexus"
	install -d "$home/.cargo/bin"
	printf '#!/bin/sh\nset -e\nid -un >>%s/built-as\nmkdir -p target/release\ncp bin/* target/release\n' "$home" >"$home/.cargo/bin/cargo"
	chmod +x "$home/.cargo/bin/cargo"
	chown -R person: "$home"
	for how in '' sudo; do
		exits 0 "NEXUS runs" env --chdir="$home/nexus" HOME="$home" runuser --user person -- ${how:+"$how"} ./install.sh --yes --owner-identity "$home/owner.txt"
		same "who built it" "$(sort -u "$home/built-as")" person
		same "whose the key is" "$(stat --format='%U %a' "$home/owner.txt")" "person 600"
		"$clone/install.sh" --uninstall --purge --yes >/dev/null
		rm -rf "$home"/{built-as,owner.txt,nexus/target}
	done
	userdel --remove person 2>&1
	rm /etc/sudoers.d/person
	nothing_is_left
}

# After every failure, removing its cause and running the same command again succeeds.
failures_can_be_repeated() {
	# The image is missing.
	docker tag redis:8.0.6-alpine keep:redis
	docker rmi redis:8.0.6-alpine >/dev/null
	exits 69 "run nexus-setup again" install_now
	docker tag keep:redis redis:8.0.6-alpine
	# The first backup fails.
	cp -a "$clone/bin" "$work/bin"
	printf '#!/bin/sh\necho "nexus-backup: made to fail" >&2\nexit 74\n' >"$work/bin/nexus-backup"
	bin=$work/bin exits 74 "nexus-backup: made to fail" install_now
	systemctl reset-failed
	exits 0 "NEXUS runs" install_now
	docker rmi keep:redis >/dev/null
}

# Kills it after N tenths of a second, for many N, on a machine without NEXUS each time; then a run must succeed. All N with --long.
cut_short() {
	local tenths moments=(8 25 45)
	if [[ -n ${NEXUS_TEST_LONG-} ]]; then moments=(3 8 13 18 25 33 45); fi
	for tenths in "${moments[@]}"; do
		"$clone/install.sh" --uninstall --purge --yes >/dev/null 2>&1
		timeout --signal=KILL "$((tenths / 10)).$((tenths % 10))" "$clone/install.sh" --bin-dir "$clone/bin" --yes --owner-identity "$owner" >/dev/null 2>&1 || true
		exits 0 "NEXUS runs" install_now
		healthy
		as_program --command='SELECT 1' >/dev/null
		same "half-written files" "$(find /etc/nexus /usr/local /var/lib/nexus -name '*.partial.*')" ""
	done
}

# A power cut while PostgreSQL makes its first cluster: it starts over, and never uses an unfinished cluster.
first_start_cut_short() {
	local after pids installing moments=(0.3 1)
	if [[ -n ${NEXUS_TEST_LONG-} ]]; then moments=(0 0.3 0.6 1 1.5); fi
	for after in "${moments[@]}"; do
		"$clone/install.sh" --uninstall --purge --yes >/dev/null 2>&1
		install_now >"$work/said" 2>&1 &
		installing=$!
		await 30 docker top nexus-postgres
		sleep "$after" # the moment of the cut is what is varied here
		mapfile -t pids < <(docker top nexus-postgres -eo pid | tail -n +2)
		kill -KILL "${pids[@]}"
		# Compose may have noticed the missing container; then the installation reports it.
		wait "$installing" || exits 0 "NEXUS runs" install_now
		await 30 healthy
		as_program --command='SELECT 1' >/dev/null
	done
}

one_at_a_time() { exits 75 "another nexus-setup is at work" flock /run/nexus-locks/setup "$clone/install.sh" --uninstall; }
