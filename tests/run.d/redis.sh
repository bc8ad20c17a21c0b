# Compares Redis's data by digest, with throwaway servers in the machine that has NEXUS installed.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

part_redis() {
	installed
	"$machine" copy "test-$$" "$bin_dir/examples/redis-digest" /root/nexus/redis-digest
	in_machine live/redis-digest.sh /root/nexus/redis-digest
}
