# What else could turn texts into vectors, timed beside nexus-embed on the same model: docs/EMBEDDING.md has the table.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

engines=$tools/engines

# onnxruntime and what makes its files, in an environment of their own.
fetch_onnx() {
	local wanted="onnxruntime==1.32.0 onnx==1.23.2 numpy==2.2.6"
	[[ $(cat "$engines/holds" 2>/dev/null) != "$wanted" ]] || return 0
	need python3-venv=python3
	rm -rf "$engines"
	python3 -m venv "$engines"
	# shellcheck disable=SC2086 # several
	"$engines/bin/pip" install --quiet --disable-pip-version-check $wanted
	echo "$wanted" >"$engines/holds"
}

# row THREADS COMMAND…: the line that COMMAND prints, in columns.
engine_row() {
	local threads=$1
	shift
	env RAYON_NUM_THREADS="$threads" RTEN_NUM_THREADS="$threads" "$@" |
		awk -v threads="$threads" '{ printf "%-20s %7d %8s %8s %8s %8s %8s %8s %9s %9s\n", $1, threads, $2, $3, $4, $5, $6, $7, $8, $9 }'
}

part_engines() {
	local name threads
	fetch_model
	fetch_onnx
	for name in candle rten tract; do
		cargo build --quiet --release --manifest-path tests/engines/Cargo.toml --target-dir "$engines/target" --features "$name"
		mv "$engines/target/release/nexus-engines" "$engines/$name"
	done
	cargo build --quiet --release --locked --package nexus-embed --example measure
	"$engines/bin/python" -B tests/engines/onnx_of.py "$whole_model" "$engines/model.onnx" "$engines/model-8bit.onnx"
	printf '%-20s %7s %8s %8s %8s %8s %8s %8s %9s %9s\n' engine threads 'load ms' '9' '20' '64' '256' MiB first last
	for threads in 1 2; do
		engine_row "$threads" "$bin_dir/examples/measure" --line "$whole_model" "$threads"
		engine_row "$threads" "$engines/candle" "$whole_model"
		for name in rten tract; do engine_row "$threads" "$engines/$name" "$engines/model.onnx"; done
		engine_row "$threads" "$engines/bin/python" -B tests/engines/onnxruntime_times.py "$engines/model.onnx" "$threads"
		engine_row "$threads" "$engines/bin/python" -B tests/engines/onnxruntime_times.py "$engines/model-8bit.onnx" "$threads" | sed 's/^onnxruntime /onnxruntime-8bit/'
	done
}
