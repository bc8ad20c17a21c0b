# The code's own tests: formatting, lints, dependencies, unit, property and command-line tests; then the binaries.
# shellcheck shell=bash disable=SC2034,SC2154 # what one part sets, another reads

tools=${XDG_CACHE_HOME:-$HOME/.cache}/nexus-tests
# Clones that CI makes for one run share a target directory.
if [[ -n ${CI-} && -z ${CARGO_TARGET_DIR-} ]]; then export CARGO_TARGET_DIR=$tools/target; fi
bin_dir=${CARGO_TARGET_DIR:-$PWD/target}/release

# as_root COMMAND…: runs it as root, with sudo if needed.
as_root() { if ((EUID == 0)); then "$@"; else sudo -- "$@"; fi; }

# need PACKAGE=COMMAND…: installs each package whose command is missing.
need() {
	local pair missing=()
	for pair; do [[ -n $(type -P "${pair#*=}") ]] || missing+=("${pair%%=*}"); done
	((${#missing[@]})) || return 0
	echo "installing ${missing[*]} with apt-get, because they are missing"
	install -d "$tools"
	# One lane at a time, because apt-get does not wait for another apt-get.
	(
		flock 8
		as_root apt-get update -qq
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
	) 8>"$tools/.apt.lock"
}

# one NAME COMMAND…: prints the result, and counts it.
one() {
	local name=$1
	shift
	if "$@"; then echo "ok $name" && passed=$((passed + 1)); else echo "FAILED $name" && failed=$((failed + 1)); fi
}

# Builds once a run, so that no lane waits in cargo while another one compiles tests.
build_binaries() {
	[[ ! -e $logs/.built ]] || return 0
	# The whole workspace at once: each choice of packages has its own features, and would compile everything again.
	cargo build --quiet --release --locked --workspace --lib --bins --example redis-digest --example vectors
	touch "$logs/.built"
}

cargo_deny() {
	local deny what=(bans licenses sources)
	deny=$(type -P cargo-deny || echo "$tools/bin/cargo-deny")
	[[ -x $deny ]] || cargo install --quiet --locked --root "$tools" cargo-deny@0.20.2
	# The advisories are a git repository, which may be unreachable.
	if git ls-remote --quiet --exit-code https://github.com/rustsec/advisory-db HEAD >/dev/null 2>&1; then
		what+=(advisories)
	else
		echo "cannot reach the list of advisories: checking only bans, licences and sources"
	fi
	"$deny" --log-level error check "${what[@]}"
}

# A reader of nexus-docker must be able to read its whole dependency tree.
nexus_docker_is_small() {
	local packages
	packages=$(cargo tree --locked --package nexus-docker --edges normal --prefix none --format '{p}' | sort -u | wc -l)
	echo "nexus-docker has $packages packages in its tree"
	((packages > 0 && packages <= 60))
}

# Checks the code with the oldest compiler that Cargo.toml promises, if it is installed.
oldest_compiler() {
	local version
	version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
	if ! rustup run "$version" rustc --version 2>/dev/null; then
		echo "skipped, because Rust $version is not installed: rustup toolchain install $version"
		return
	fi
	rustup run "$version" cargo check --quiet --locked --workspace --target-dir "${bin_dir%/*}/rust-$version"
}

shell_scripts() {
	# Bash forgets `set -e` where the caller looks at the status.
	git ls-files | xargs grep -lE '^#!.*\b(ba)?sh\b|shellcheck shell=' | xargs shellcheck --external-sources || return 1
	# The shell would expand the $( only once, before await begins.
	if git grep -nE 'await [0-9]+ test .*\$\(' -- tests/live tests/units; then return 1; fi
	# Damage by a constant byte is none where that byte is there already: `flip` of checks.sh.
	if git grep -n 'conv=notrunc' -- tests/live tests/units ':!tests/live/checks.sh'; then return 1; fi
}

for_code=(gcc=cc libc6-dev=cc shellcheck=shellcheck bc=bc)

# Runs at low priority, because the other lanes are mostly waiting for their machines.
part_code() {
	local passed=0 failed=0
	need "${for_code[@]}"
	renice --priority 19 "$BASHPID" >/dev/null
	one formatting cargo fmt --all --check
	one shell-scripts shell_scripts
	# The same profile as the installed binaries, so that dependencies are built once.
	one tests cargo test --release --locked --workspace --no-fail-fast
	one reference-vectors reference_vectors
	one lints cargo clippy --quiet --release --locked --workspace --all-targets -- -D warnings
	one documentation env RUSTDOCFLAGS='-D warnings' cargo doc --quiet --release --locked --workspace --no-deps
	one dependencies cargo_deny
	one nexus-docker-is-small nexus_docker_is_small
	one oldest-compiler oldest_compiler
	printf '%d passed, %d failed\n' "$passed" "$failed"
	((failed == 0))
}
