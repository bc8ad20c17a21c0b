# Tests the package: builds it as this version and as a future one, checks it with lintian, and installs it in a machine.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

for_package=(lintian=lintian binutils=readelf)

# make_packages DIR: makes this version's package, and one of a future version with another image, another table and another setting.
make_packages() {
	local next
	build_binaries
	# Compresses quickly; only a published package must be small.
	DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_COMPRESSOR_LEVEL=1 install.d/deb/build --bin-dir "$bin_dir" "$1"
	next=$(mktemp -d)
	cp -a install.sh install.d compose units helpers docs .env.example Cargo.toml CHANGELOG.md LICENSE* "$next"
	sed -i 's/^version = ".*"/version = "99.0.0"/' "$next/Cargo.toml"
	sed -i 's/pgvector:0\.8\.7-pg18-trixie/pgvector:0.8.99-pg18-trixie/' "$next/compose/docker-compose.yml"
	printf '\n# A setting of the next version.\nNEXUS_OF_TOMORROW=yes\n' >>"$next/.env.example"
	cat >"$next/compose/postgres/init/0099-tomorrow.sql" <<-'SQL'
		BEGIN;
		SELECT NOT EXISTS (SELECT FROM nexus_memory.migrations WHERE version = 99) AS needed \gset
		\if :needed
		CREATE TABLE nexus_memory.of_tomorrow (id integer PRIMARY KEY);
		INSERT INTO nexus_memory.migrations (version, name) VALUES (99, 'tomorrow');
		\endif
		COMMIT;
	SQL
	DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_COMPRESSOR_LEVEL=1 "$next/install.d/deb/build" --bin-dir "$bin_dir" "$1"
	rm -rf "$next"
}

# Makes an image of PostgreSQL 17 from the stand-in's recipe, one version and one Debian earlier. Keeps it until the recipe changes.
old_postgres() {
	local recipe tar=$tools/postgres-17.tar scratch key
	key=$(find tests/host/image -type f | LC_ALL=C sort | xargs sha256sum | sha256sum)
	[[ $(cat "$tar.key" 2>/dev/null) != "$key" ]] || return 0
	need mmdebstrap=mmdebstrap
	scratch=$(mktemp -d)
	cp -a tests/host/image "$scratch/image"
	recipe=$scratch/image/stand-in/postgres
	sed -i 's/18/17/g' "$recipe"/{packages,finish.sh}
	sed -i 's/^debian forky/debian trixie/' "$scratch/image/stand-in.sh"
	as_root "$scratch/image/stand-in.sh" "$(mirror_of_debian)" postgres "$scratch/root" >"$scratch/log" 2>&1 || { tail -n 15 "$scratch/log" >&2 && return 1; }
	as_root tar --create --directory="$scratch/root" --numeric-owner . >"$tar"
	echo "$key" >"$tar.key"
	as_root rm -rf --one-file-system "$scratch"
}

# Prints the mirror that the machine's recipe uses.
# shellcheck disable=SC2016 # the other shell expands it
mirror_of_debian() {
	bash -euc 'here=tests/host images_from=stand-in scratch=$(mktemp -d); . tests/host/lib/sources.sh; debian_mirror "$scratch"; rm -rf "$scratch"'
}

lintian_finds_no_error() { lintian --fail-on error --display-level error "$1"; }

# upgrade_without_power MACHINE: cuts the power during an upgrade of PostgreSQL.
upgrade_without_power() {
	local step
	for step in backup restore; do
		"$machine" exec "$1" -- bash -c "exec bash /root/nexus/tests/live/upgrade-cut.sh begin $step /root/debs/nexus_[!9]*.deb /root/debs/postgres-17.tar"
		"$machine" kill "$1"
		"$machine" up "$1"
		"$machine" exec "$1" -- bash /root/nexus/tests/live/upgrade-cut.sh booted
	done
}

part_package() {
	local debs passed=0 failed=0
	need "${for_package[@]}"
	old_postgres
	debs=$(mktemp -d)
	make_packages "$debs"
	one lintian-finds-no-error lintian_finds_no_error "$(echo "$debs"/nexus_[!9]*.deb)"
	printf '%d passed, %d failed\n' "$passed" "$failed"
	fresh "package-$$"
	"$machine" copy "package-$$" "$debs" /root/debs
	"$machine" copy "package-$$" "$tools/postgres-17.tar" /root/debs/postgres-17.tar
	rm -rf "$debs"
	"$machine" exec "package-$$" -- env NEXUS_TEST_LONG="$long" bash -c 'exec bash /root/nexus/tests/live/package.sh /root/debs/nexus_[!9]*.deb /root/debs/nexus_99*.deb /root/debs/postgres-17.tar'
	upgrade_without_power "package-$$"
	"$machine" down "package-$$"
	((failed == 0))
}
