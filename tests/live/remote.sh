#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR disable=SC2034 # what one part sets, another reads
# Tests the access from other machines, inside an installed machine: a network namespace stands for the outside, with addresses on and off
# the list. Caddy is Debian's, under the name of the official image; curl verifies its certificate against its own authority.
#
# usage: remote.sh DIRECTORY [after-reboot]     DIRECTORY has caddy and busybox; after-reboot checks the state after a reboot
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/checks.sh"
. "$here/remote/stand-in.sh"
. "$here/remote/outside.sh"
. "$here/remote/caddy.sh"
. "$here/remote/token.sh"
. "$here/remote/switching.sh"
. "$here/remote/tailscale.sh"

binaries=$1
compose=/usr/local/share/nexus/compose
settings=/etc/nexus/nexus.env
clone=$(readlink -f "$here/../..")
work=$(mktemp -d)
trap 'remove_outside; rm -rf "$work"' EXIT

outside_comes
if [[ ${2-} == after-reboot ]]; then
	check reboot_keeps_the_choice
	check off_leaves_nothing
	report
	exit
fi
caddy_stand_in
check off_is_nothing_at_all
check wrong_settings_start_nothing
set_to_internal
check is_switched_on
check switching_on_again_changes_nothing
check only_443_and_80_answer
check addresses_off_the_list_find_no_port
check addresses_off_the_list_get_no_reply_from_caddy
check token_is_asked_for
check memory_works_from_outside
check only_the_memory_goes_out
check more_goes_out_when_asked
check tls_is_new_and_verified
check http_2_and_3
check other_host_names_are_refused
check headers_for_browsers
check body_has_a_limit
check forged_headers_have_no_effect
check flood_of_one_leaves_the_other_served
cat "$work/flood"
check wrong_tokens_slow_down
check the_log_shows_no_request_content
check container_is_confined
check only_the_proxy_reaches_its_socket
check certificate_is_renewed
check own_certificate_is_taken
check token_changes_without_a_lost_request
check caddy_that_ends_comes_back
check a_stopped_caddy_is_reported_and_local_programs_work
check health_warns
check off_leaves_nothing
check tailscale_that_is_missing_is_one_line
check tailscale_is_asked_for_the_right_thing
check back_with_the_same_authority
report
