# Runs the fuzz targets: random bytes for every parser of data that another program or an older version wrote.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

# cargo-fuzz uses options that only a nightly compiler accepts, or a stable one with RUSTC_BOOTSTRAP.
fuzz_cargo() { if rustup toolchain list 2>/dev/null | grep -q '^nightly'; then cargo +nightly "$@"; else RUSTC_BOOTSTRAP=1 cargo "$@"; fi; }

# Prints the directories of a target's seeds. For rdb, the unit tests have files of real servers too.
fuzz_seeds() {
	echo "tests/fuzz/seeds/$1"
	[[ $1 != rdb ]] || echo helpers/lib/rdb/src/testdata
}

# Keeps the inputs of earlier runs in tests/fuzz/corpus. Limits allocations to what the code may legitimately need.
fuzz_target() {
	local seeds
	mapfile -t seeds < <(fuzz_seeds "$1")
	install -d "tests/fuzz/corpus/$1"
	fuzz_cargo fuzz run --fuzz-dir tests/fuzz "$1" "tests/fuzz/corpus/$1" "${seeds[@]}" -- \
		-max_total_time="${NEXUS_FUZZ_SECONDS:-300}" -timeout=10 -malloc_limit_mb=64 -max_len=8192 -print_final_stats=1 -verbosity=0
}

part_fuzz() {
	local passed=0 failed=0 target targets
	PATH=$PATH:$tools/bin
	[[ -n $(type -P cargo-fuzz) ]] || cargo install --quiet --locked --root "$tools" cargo-fuzz@0.13.2
	fuzz_cargo fuzz build --fuzz-dir tests/fuzz
	mapfile -t targets < <(fuzz_cargo fuzz list --fuzz-dir tests/fuzz)
	for target in "${targets[@]}"; do one "$target" fuzz_target "$target"; done
	printf '%d passed, %d failed\n' "$passed" "$failed"
	((failed == 0))
}
