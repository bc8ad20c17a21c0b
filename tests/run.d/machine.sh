# The parts that run in throwaway machines.
# shellcheck shell=bash disable=SC2034,SC2154 # what one part sets, another reads

machine=tests/host/machine
owner=/root/owner-of-the-test.txt

# Runs at every exit.
take_machines_down() {
	local name
	# Every part runs in its own shell, so the names are in a file.
	[[ ! -e $logs/.machines ]] || while read -r name; do "$machine" down "$name"; done < <(sort -u "$logs/.machines")
	rm -rf "$logs"
}

# fresh NAME [--bind HOST:GUEST]: starts a machine with this clone and its binaries in /root/nexus.
fresh() {
	local luggage name=$1 helper
	build_binaries
	echo "$name" >>"$logs/.machines"
	"$machine" down "$name"
	"$machine" up "$@"
	luggage=$(mktemp -d)
	install -d "$luggage/bin" "$luggage/tests"
	cp -a install.sh install.d compose units helpers docs .env.example Cargo.toml ./*.md "$luggage"
	cp -a tests/docs tests/live tests/faults tests/units "$luggage/tests"
	for helper in helpers/nexus-*/; do install "$bin_dir/$(basename "$helper")" "$luggage/bin"; done
	"$machine" copy "$name" "$luggage" /root/nexus
	rm -rf "$luggage"
}

# installed [NAME [--bind HOST:GUEST]]: starts a machine with NEXUS installed, unless it is up. Parts that leave NEXUS healthy share
# one; the others have their own NAME.
installed() {
	local name=${1:-test}-$$ with=none bench=
	if ! grep -qx "$name" "$logs/.installed" 2>/dev/null; then
		fresh "$name" "${@:2}"
		# The model only where tests need it: elsewhere rows would get their vectors while tests compare them.
		if [[ $name == embed-* || $name == docs-* ]]; then
			fetch_model
			"$machine" copy "$name" "$model" "/root/$usual_model"
			with=/root/$usual_model
		fi
		# The pages of nexus-bench are tested too.
		if [[ $name == docs-* ]]; then bench=--with-bench; fi
		"$machine" exec "$name" -- bash -c "cd /root/nexus && ./install.sh --bin-dir bin --yes --owner-identity $owner --model $with $bench"
		# The other parts break things to see the effect, so nothing may repair them.
		[[ $name == health-* ]] || "$machine" exec "$name" -- bash -c "sed -i 's/^NEXUS_HEAL=.*/NEXUS_HEAL=off/' /etc/nexus/nexus.env && systemctl restart nexus-health"
		echo "$name" >>"$logs/.installed"
	fi
	installed_machine=$name
	in_machine() { "$machine" exec "$installed_machine" -- env NEXUS_TEST_OWNER="$owner" bash "/root/nexus/tests/$1" "${@:2}"; }
}

# Installs and builds what two lanes would otherwise install or build at the same time.
prepare() {
	need "${for_code[@]}" "${for_outside[@]}" "${for_docs[@]}" "${for_package[@]}"
	# The image mostly waits, the binaries mostly compute.
	"$machine" build &
	build_binaries
	wait "$!"
	# A part that needs the model fetches it again, and reports the failure.
	fetch_model || true
}

part_host() { tests/host/selftest; }

for_outside=(age=age zstd=zstd jq=jq postgresql-client=psql)

# Runs on this machine itself, in its own directory.
part_outside() {
	build_binaries
	need "${for_outside[@]}"
	tests/live/outside-compose.sh "$bin_dir"
}

part_units() {
	installed
	in_machine units/verify.sh
	in_machine units/sockets.sh
}

part_install() {
	fresh "install-$$"
	"$machine" exec "install-$$" -- env NEXUS_TEST_LONG="$long" bash /root/nexus/tests/live/install.sh
	"$machine" down "install-$$"
}

part_stack() {
	installed
	in_machine live/stack.sh
	in_machine live/after-boot.sh 0
	"$machine" reboot "test-$$"
	in_machine live/after-boot.sh 1
	# A power cut: nothing is flushed deliberately.
	"$machine" kill "test-$$"
	"$machine" up "test-$$"
	in_machine live/after-boot.sh 2
}

part_backup() {
	installed
	in_machine live/backup.sh
	in_machine live/backup-others.sh
	in_machine live/backup-left-out.sh
	in_machine live/foreign-text.sh
	in_machine live/timeouts.sh
}

part_lost() {
	installed lost
	in_machine live/lost.sh
	"$machine" down "$installed_machine"
	attacked_from_within
}

# Attacks by other users of the machine, and by the user of the jobs. Uses its own machine, because NEXUS is damaged afterwards.
attacked_from_within() {
	installed attacked
	in_machine live/strangers.sh
	in_machine live/install/planted.sh
	"$machine" down "$installed_machine"
}

part_restore() {
	installed
	in_machine live/torture.sh
	in_machine live/restore.sh
}

part_proof() {
	installed
	in_machine live/restore-test.sh
	# Its own machine, because its Docker gets a small disk.
	installed foreign
	in_machine live/foreign.sh
	"$machine" down "$installed_machine"
}

part_alert() {
	installed jobs
	in_machine live/alert.sh before-reboot
	"$machine" reboot "$installed_machine"
	in_machine live/alert.sh after-reboot
}

part_purge() {
	installed jobs
	in_machine live/purge.sh
	in_machine live/forgotten.sh
	in_machine live/others-code.sh
}

part_docker() {
	installed
	in_machine live/docker-helper.sh
}

part_health() {
	installed health
	need prometheus=promtool
	# The machine has no network to install it from.
	"$machine" copy "$installed_machine" "$(type -P promtool)" /usr/local/bin/promtool
	in_machine live/health.sh
}

part_bench() {
	installed
	in_machine live/restore-test-bench.sh 20000 1
	in_machine live/purge-bench.sh 10000 30
	need prometheus-node-exporter=prometheus-node-exporter
	"$machine" copy "$installed_machine" "$(type -P prometheus-node-exporter)" /usr/local/bin/prometheus-node-exporter
	netdata_in "$installed_machine"
	in_machine live/bench.sh 2000 "$([[ -n $long ]] && echo 10min || echo 60s)"
}
