# Tests who gets in, and how often.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

token_is_asked_for() {
	local path
	for path in /health /stats /memory/episodic/recent /memory/export; do status_is 401 from "$friend" "https://nexus.test$path"; done
	grep -qi '^www-authenticate: bearer' "$work/header"
	status_is 401 from "$friend" --header 'Authorization: Bearer none' https://nexus.test/health
	status_is 200 with_token "$friend" /health
	# The local API needs no token, as before.
	curl --silent --fail --output /dev/null http://127.0.0.1:8003/stats
	# Resets the count of wrong tokens for the checks below.
	systemctl restart nexus-api.service
}

# flood ADDRESS COUNT: sends requests with different false client addresses, and prints how often each status came.
flood() {
	local i
	for ((i = 1; i <= $2; i++)); do
		with_token "$1" /stats --header "X-Forwarded-For: 192.0.2.$i" --header "X-Forwarded-For: 10.77.0.$i" --header "Forwarded: for=192.0.2.$i" \
			--header "X-Real-IP: 192.0.2.$i" --header "X-Nexus-Agent: a$i" --header "True-Client-IP: 192.0.2.$i" >/dev/null
		cat "$work/status"
		echo
	done
}

forged_headers_have_no_effect() {
	local said
	set_setting NEXUS_REMOTE_RATE 6
	systemctl restart nexus-api.service
	said=$(flood "$friend" 12 | sort | uniq -c)
	[[ $said == *429* ]] || { echo "$said" >&2 && return 1; }
	with_token "$friend" /stats >/dev/null || true
	grep -qiE '^retry-after: [1-9]' "$work/header"
	# Only this address has been counted.
	status_is 200 with_token "$other_friend" /stats
	# False headers do not put a stranger on the list.
	fails "" from "$stranger" --header "X-Forwarded-For: $friend" https://nexus.test/health
	set_setting NEXUS_REMOTE_RATE 120
	systemctl restart nexus-api.service
}

flood_of_one_leaves_the_other_served() {
	printf 'header = "Authorization: Bearer %s"\n' "$(token)" >"$work/token"
	set_setting NEXUS_REMOTE_RATE 1200
	systemctl restart nexus-api.service
	ip netns exec outside python3 "$here/remote/flood.py" "$authority" "$(realpath "$work/token")" "$machine_here" "$friend" "$other_friend" >"$work/flood"
	set_setting NEXUS_REMOTE_RATE 120
	systemctl restart nexus-api.service
}

wrong_tokens_slow_down() {
	local i wait
	for i in 1 2 3 4 5; do status_is 401 from "$slow_friend" --header "Authorization: Bearer wrong-$i" https://nexus.test/stats; done
	status_is 429 from "$slow_friend" --header 'Authorization: Bearer wrong-6' https://nexus.test/stats
	wait=$(tr -d '\r' <"$work/header" | sed -nE 's/^[Rr]etry-[Aa]fter: //p')
	((wait >= 1))
	# The right token is refused too, otherwise guessing would not be slower; other addresses are not affected.
	status_is 200 with_token "$friend" /stats
	await 30 status_is 200 with_token "$slow_friend" /stats
	# shellcheck disable=SC2016 # a new shell expands it each time
	await 10 eval 'journalctl --unit=nexus-api --output=cat | grep "^wrong tokens from $slow_friend: it must wait"'
}

# First both tokens, then only the new one, by the commands of docs/REMOTE.md, with requests all the time.
token_changes_without_a_lost_request() {
	local file=/etc/nexus/credentials/remote_token old asking
	old=$(token)
	printf 'header = "Authorization: Bearer %s"\n' "$old" >"$work/old"
	set_setting NEXUS_REMOTE_RATE 6000
	systemctl restart nexus-api.service
	(
		while [[ ! -e $work/enough ]]; do
			ip netns exec outside curl --silent --max-time 30 --interface "$friend" --cacert "$authority" --resolve "nexus.test:443:$machine_here" --config "$work/old" \
				--output /dev/null --write-out '%{http_code}\n' https://nexus.test/stats || echo lost
		done
	) >"$work/codes" &
	asking=$!
	await 30 grep -q 200 "$work/codes"
	sh -c "head -c 32 /dev/urandom | base64 >>$file"
	same "tokens" "$(wc --lines <"$file")" 2
	systemctl restart nexus-api.service
	status_is 200 with_token "$friend" /stats
	systemctl restart nexus-api.service
	touch "$work/enough"
	wait "$asking"
	same "statuses with the old token" "$(sort -u "$work/codes")" 200
	sed -i 1d "$file"
	same "its mode" "$(stat --format='%U %a' "$file")" "root 600"
	systemctl restart nexus-api.service
	status_is 401 from "$friend" --config "$work/old" https://nexus.test/stats
	status_is 200 with_token "$friend" /stats
	set_setting NEXUS_REMOTE_RATE 120
	systemctl restart nexus-api.service
}
