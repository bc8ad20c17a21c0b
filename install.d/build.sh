# Takes the helpers' binaries from --bin-dir, or builds them with cargo as the user who called, never as root for that user.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

# Prints the names of the helpers to install, one crate each. nexus-bench is for developers.
helper_names() {
	local crate
	for crate in "$clone"/helpers/nexus-*/; do
		crate=$(basename "$crate")
		if [[ $crate != nexus-bench || $with_bench == yes ]]; then echo "$crate"; fi
	done
}

# Prints the path of the caller's cargo, or fails.
callers_cargo() {
	local home
	if ((EUID == 0)) && [[ -n ${SUDO_USER:-} && $SUDO_USER != root ]]; then
		home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
		if [[ -x $home/.cargo/bin/cargo ]]; then
			printf '%s' "$home/.cargo/bin/cargo"
			return
		fi
	elif [[ -x ${HOME:-/nonexistent}/.cargo/bin/cargo ]]; then
		printf '%s' "$HOME/.cargo/bin/cargo"
		return
	fi
	PATH=$callers_path command -v cargo
}

# Sets bin_dir. With cargo_target, builds for another architecture.
build_helpers() {
	local cargo name as_builder=(env PATH="$callers_path")
	if [[ -z $bin_dir ]]; then
		cargo=$(callers_cargo) || stop 69 "there is no cargo to build the helpers with: install Rust (https://rustup.rs), or give --bin-dir DIR with binaries built elsewhere"
		if ((EUID == 0)) && [[ -n ${SUDO_USER:-} && $SUDO_USER != root ]]; then
			as_builder=(runuser --user "$SUDO_USER" -- env HOME="$(getent passwd "$SUDO_USER" | cut -d: -f6)" PATH="$(dirname "$cargo"):$callers_path")
		fi
		(cd "$clone" && "${as_builder[@]}" "$cargo" build --release --locked ${cargo_target:+--target "$cargo_target"})
		bin_dir=${CARGO_TARGET_DIR:-$clone/target}/${cargo_target:+$cargo_target/}release
	fi
	for name in $(helper_names); do
		[[ -f $bin_dir/$name && -x $bin_dir/$name ]] ||
			stop 69 "$bin_dir has no program $name: give --bin-dir a directory with all of: $(helper_names | tr '\n' ' ')"
	done
}

# For check_machine.
check_build() {
	if [[ -n $bin_dir ]]; then
		[[ -d $bin_dir ]] || missing "the directory $bin_dir" "name the one with the helpers' binaries after --bin-dir"
	elif ! callers_cargo >/dev/null; then
		missing "cargo, to build the helpers" "https://rustup.rs, or --bin-dir DIR with binaries built elsewhere"
	fi
}
