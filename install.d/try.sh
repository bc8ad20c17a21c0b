# --try: does in a throwaway machine what a person would do with NEXUS. On this machine it builds the helpers, installs the packages
# that tests/host/machine lacks, and keeps the machine's image and the model in caches for the next trial.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

try_in_a_machine() {
	local machine name=try-$$ luggage status=0
	# tests/host/machine uses the caller's own tools.
	machine=(env PATH="$callers_path" "$clone/tests/host/machine")
	doing "building the helpers"
	build_helpers
	doing "making the machine"
	"${machine[@]}" build
	luggage=$(mktemp -d)
	# shellcheck disable=SC2064 # expand these paths now
	trap "rm -rf '$luggage'; $(printf '%q ' "${machine[@]}") down '$name'" EXIT
	doing "booting it"
	"${machine[@]}" up "$name"
	pack_luggage "$luggage/nexus"
	pack_model "$luggage/nexus/model"
	"${machine[@]}" copy "$name" "$luggage/nexus" /root/nexus
	doing ''
	"${machine[@]}" exec "$name" -- bash /root/nexus/tests/live/try.sh || status=$?
	((status == 0)) || stop "$status" "the trial failed; the cause is above"
}

# Packs the model, which is kept for the next trial. Without it the trial searches by words only.
pack_model() {
	local cache=${XDG_CACHE_HOME:-$HOME/.cache}/nexus-tests/models/$usual_model
	if ! is_usual_model "$cache"; then
		say "fetching the model $usual_model (91 MB), once"
		rm -rf "$cache"
		install -d "$cache"
		download_model "$cache" || {
			complain "cannot fetch the model $usual_model: the trial goes on without it, and searches by words only"
			return 0
		}
	fi
	install -d "$1"
	cp -a "$cache" "$1"
}

# Packs the parts of this clone that an installation needs, and the built helpers.
pack_luggage() {
	local to=$1 helper
	install -d "$to/bin" "$to/tests" "$to/helpers"
	cp -a "$clone"/{install.sh,install.d,compose,units,docs,.env.example,Cargo.toml} "$to"
	cp -a "$clone/tests/live" "$to/tests"
	for helper in $(helper_names); do
		install -d "$to/helpers/$helper"
		install "$bin_dir/$helper" "$to/bin/$helper"
	done
}
