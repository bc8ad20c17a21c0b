# Times other engines for vectors beside nexus-embed, on the same model: docs/EMBEDDING.md has the table.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

engines=$tools/engines

# Installs onnxruntime, and onnx to convert the model, in their own environment.
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

# engine_row NAME THREADS COMMAND…: prints COMMAND's line in columns, and checks that the two numbers of a vector at its end are those
# of nexus-embed. An 8-bit model only approximates them.
engine_row() {
	local name=$1 threads=$2 line
	shift 2
	line=$(env RAYON_NUM_THREADS="$threads" RTEN_NUM_THREADS="$threads" "$@")
	awk -v name="$name" -v threads="$threads" '{ printf "%-16s %7d %8s %7s %7s %7s %7s %5s\n", name, threads, $2, $3, $4, $5, $6, $7 }' <<<"$line"
	[[ $name != nexus-embed ]] || vector=${line#* * * * * * * }
	if [[ $name == *8-bit || ${line#* * * * * * * } == "$vector" ]]; then
		passed=$((passed + 1))
	else
		printf 'FAILED %s: its vector has %s, expected %s\n' "$name" "${line#* * * * * * * }" "$vector"
		failed=$((failed + 1))
	fi
}

part_engines() {
	local name threads vector passed=0 failed=0
	fetch_model
	fetch_onnx
	for name in candle rten tract; do
		cargo build --quiet --release --manifest-path tests/engines/Cargo.toml --target-dir "$engines/target" --features "$name"
		# Copies it, because the next build would overwrite a link to cargo's result.
		rm -f "$engines/$name"
		cp "$engines/target/release/nexus-engines" "$engines/$name"
	done
	cargo build --quiet --release --locked --package nexus-embed --example measure
	"$engines/bin/python" -B tests/engines/onnx_of.py "$whole_model" "$engines/model.onnx" "$engines/model-8-bit.onnx"
	printf '%-16s %7s %8s %7s %7s %7s %7s %5s\n' engine threads 'load ms' '9 tok.' 20 64 256 MiB
	for threads in 1 2; do
		engine_row nexus-embed "$threads" "$bin_dir/examples/measure" --line "$whole_model" "$threads"
		engine_row candle "$threads" "$engines/candle" "$whole_model"
		for name in rten tract; do engine_row "$name" "$threads" "$engines/$name" "$engines/model.onnx"; done
		for name in '' -8-bit; do
			engine_row "onnxruntime$name" "$threads" "$engines/bin/python" -B tests/engines/onnxruntime_times.py "$engines/model$name.onnx" "$threads"
		done
	done
	printf '%d passed, %d failed\n' "$passed" "$failed"
	((failed == 0))
}
