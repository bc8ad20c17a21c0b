# NEXUS does not stop, remove or use anything of others on the machine, whether older or newer than NEXUS.
# shellcheck shell=bash disable=SC2154 # clone, owner and work are those of tests/live/install.sh

image_of_others=redis:8.0.6-alpine

# their_project DIRECTORY SERVICE [VOLUME]: starts another user's Compose project in DIRECTORY, with an idle service.
their_project() {
	install -d "$1"
	cat >"$1/compose.yml" <<-TEXT
		services:
		  $2: { image: $image_of_others, entrypoint: [sleep, infinity], init: true, network_mode: none${3:+, volumes: ["$3:/data"]} }
		volumes: { ${3:-none}: {} }
	TEXT
	(cd "$1" && docker compose up --detach --remove-orphans 2>&1)
}
remove_their_project() { (cd "$1" && docker compose down --volumes 2>&1) && rm -r "$1"; }
ids() { docker ps --all --quiet --no-trunc --filter "label=com.docker.compose.project=$1" | sort; }

# A project in a directory called nexus has the name nexus.
another_project_called_nexus() {
	local theirs ours
	their_project /srv/nexus web notes
	theirs=$(ids nexus)
	exits 0 "NEXUS runs" install_now
	systemctl reload nexus-stack
	systemctl restart nexus-stack
	ours=$(docker inspect --format '{{.Id}}' nexus-postgres nexus-redis)
	same "theirs after ours has started" "$(ids nexus)" "$theirs"
	same "nexus-docker's list" "$(nexus-health --once --json | grep -c 'nexus-web' || true)" 0
	(cd /srv/nexus && docker compose up --detach --remove-orphans && docker compose down && docker compose up --detach) 2>&1
	same "ours after theirs was started, stopped and started" "$(docker inspect --format '{{.Id}}' nexus-postgres nexus-redis)" "$ours"
	healthy
	theirs=$(ids nexus)
	exits 0 "are removed from this machine" "$clone/install.sh" --uninstall --purge --yes
	same "theirs after ours has gone" "$(ids nexus) $(docker volume ls --quiet)" "$theirs nexus_notes"
	same "whether it runs" "$(docker inspect --format '{{.State.Status}}' nexus-web-1)" running
	remove_their_project /srv/nexus
	nothing_is_left
}

# imitator_of SERVICE [LABEL]…: another image brings the labels by which Docker Compose finds the containers of a service.
imitator_of() {
	local labels=("${@:2}")
	docker create --name "imitator-$1" --label com.docker.compose.project=nexus-memory-stack --label com.docker.compose.service="$1" \
		--label com.docker.compose.oneoff=False "${labels[@]/#/--label=com.docker.compose.}" "$image_of_others" >/dev/null
}
# refused_beside_imitator_of SERVICE [LABEL]…: a reload refuses to go on, and names the container.
refused_beside_imitator_of() {
	imitator_of "$@"
	fails "" systemctl reload nexus-stack
	journalctl --unit=nexus-stack --lines=20 --output=cat | found "the container imitator-$1 of another program has the labels of a container of NEXUS"
	docker rm --volumes "imitator-$1" >/dev/null
}

# Another image brings labels that look like a second container, a former one of NEXUS's whose id is the name of a third container.
# Another one has all labels of a container of NEXUS.
labels_of_others_remove_no_container() {
	local project=com.docker.compose.project file=/usr/local/share/nexus/compose/docker-compose.yml before
	exits 0 "NEXUS runs" install_now
	docker create --name other-db --label "$project=shop" "$image_of_others" >/dev/null
	docker create --name forger --label "$project=x"$'\n'"other-db|y|nexus|$file,z" "$image_of_others" >/dev/null
	docker create --name imitator --label "$project=nexus" --label "$project.config_files=$file" "$image_of_others" >/dev/null
	docker create --name imitator-2 --label "$project=nexus-memory-stack" --label "$project.config_files=$file" "$image_of_others" >/dev/null
	# Docker Compose takes these for a service that its file no longer has, and for services that are off.
	imitator_of web
	imitator_of grafana
	imitator_of proxy
	before=$(docker ps --all --quiet --no-trunc | sort)
	systemctl reload nexus-stack
	systemctl restart nexus-stack nexus-metrics nexus-proxy
	same "containers after a reload and restarts" "$(docker ps --all --quiet --no-trunc | sort)" "$before"
	# And these for PostgreSQL, and for a service of the owner's.
	refused_beside_imitator_of postgres
	refused_beside_imitator_of redis config-hash=0 container-number=0
	cp -a /etc/nexus/compose.override.yml "$work/override"
	echo "services: { mine: { image: $image_of_others, network_mode: none }, named: { image: $image_of_others, network_mode: none, container_name: my.own } }" \
		>/etc/nexus/compose.override.yml
	refused_beside_imitator_of mine config-hash=0 container-number=1
	systemctl reload nexus-stack
	# The owner's own containers are no imitations.
	systemctl reload nexus-stack
	same "the owner's containers" "$(docker ps --format '{{.Names}}' | grep -e mine -e my | sort | paste -sd' ')" 'my.own nexus-memory-stack-mine-1'
	cp -a "$work/override" /etc/nexus/compose.override.yml
	docker rm --force --volumes my.own nexus-memory-stack-mine-1 >/dev/null
	same "containers after that" "$(docker ps --all --quiet --no-trunc | sort)" "$before"
	systemctl reload nexus-stack
	healthy
	exits 0 "are removed from this machine" "$clone/install.sh" --uninstall --purge --yes
	same "containers afterwards" "$(docker ps --all --format '{{.Names}}' | sort | paste -sd' ')" \
		"forger imitator imitator-2 imitator-grafana imitator-proxy imitator-web other-db"
	docker rm --force --volumes forger imitator imitator-2 imitator-grafana imitator-proxy imitator-web other-db >/dev/null
	nothing_is_left
}

# refused_and_untouched WORDS: an installation must exit with 69 and WORDS, advise no removal, and change nothing.
refused_and_untouched() {
	local status=0 said before
	before=$(traces)
	said=$(install_now 2>&1 </dev/null) || status=$?
	same "the exit code ($said)" "$status" 69
	[[ $said == *"$1"* ]] || { printf 'it said "%s"\n' "$said" >&2 && return 1; }
	[[ $said != *"volume rm"* ]] || { printf 'it advises to remove a volume: "%s"\n' "$said" >&2 && return 1; }
	same "its changes" "$(traces | diff <(cat <<<"$before") - | grep '^[<>]' | grep -v ' /run/nexus-locks$' || true)" ""
}

container_of_anothers() {
	docker run --detach --init --name nexus-postgres --entrypoint sleep "$image_of_others" infinity >/dev/null
	refused_and_untouched "another program's container has a name that NEXUS needs: nexus-postgres (not made by Compose)"
	docker rm --force nexus-postgres >/dev/null
	docker volume prune --force >/dev/null
}

volume_of_anothers() {
	their_project /srv/nexus web postgres_data
	refused_and_untouched "Docker's volume nexus_postgres_data belongs to another project: the container nexus-web-1 (Compose project nexus, /srv/nexus/compose.yml) uses it"
	(cd /srv/nexus && docker compose down) 2>&1
	refused_and_untouched "nothing on this machine says that NEXUS created it"
	remove_their_project /srv/nexus
	nothing_is_left
}

# Switching off NEXUS's metrics removes their records, but nothing of another project called nexus.
metrics_of_anothers() {
	docker volume create --label com.docker.compose.project=nexus --label com.docker.compose.volume=grafana_data nexus_grafana_data >/dev/null
	echo theirs >"$(docker volume inspect --format '{{.Mountpoint}}' nexus_grafana_data)/dashboards"
	exits 0 "NEXUS runs" install_now
	systemctl restart nexus-metrics
	exits 0 "Docker's volume nexus_grafana_data stays: nothing says that NEXUS created it" "$clone/install.sh" --uninstall --purge --yes
	same "its content" "$(cat "$(docker volume inspect --format '{{.Mountpoint}}' nexus_grafana_data)/dashboards")" theirs
	docker volume rm nexus_grafana_data >/dev/null
	nothing_is_left
}

# NEXUS uses no other daemon, neither one from root's Docker context nor one from root's shell, but still uses root's logins.
another_docker_context() {
	local other=/run/other-docker theirs=unix:///run/other-docker/docker.sock
	install -d "$other"
	dockerd --host "$theirs" --data-root /var/tmp/other-docker --exec-root "$other/exec" --pidfile "$other/pid" --bridge none --iptables=false \
		--containerd-namespace other --containerd-plugins-namespace other-plugins >"$work/dockerd" 2>&1 &
	await 30 docker --host "$theirs" info
	docker context create other --docker "host=$theirs" >/dev/null
	docker context use other >/dev/null
	exits 0 "NEXUS runs" env DOCKER_HOST="$theirs" DOCKER_CONTEXT=other COMPOSE_PROJECT_NAME=mine bash -c "$(declare -f install_now); clone=$clone bin=${bin-} owner=$owner; install_now"
	systemctl restart nexus-stack
	systemctl start nexus-backup
	same "containers and volumes of the other daemon" "$(docker --host "$theirs" ps --all --quiet)$(docker --host "$theirs" volume ls --quiet)" ""
	same "containers of this one" "$(docker --host unix:///run/docker.sock ps --format '{{.Names}}' | sort | paste -sd' ')" "nexus-postgres nexus-redis"
	exits 0 "are removed from this machine" "$clone/install.sh" --uninstall --purge --yes
	docker context use default >/dev/null
	docker context rm other >/dev/null
	kill "$(cat "$other/pid")"
	await 30 test ! -e "$other/pid"
	rm -rf --one-file-system /var/tmp/other-docker "$other"
	nothing_is_left
}

# settings_from_elsewhere LINE: puts recipients and settings in place, as on a new machine after docs/DISASTER.md.
settings_from_elsewhere() {
	install -d /etc/nexus
	age-keygen -y "$owner" >/etc/nexus/recipients.txt
	echo "$1" >/etc/nexus/nexus.env
}

# A person's account, and one of another program.
account_of_anothers() {
	useradd --create-home --shell /bin/bash nexus
	refused_and_untouched "the user nexus has a login shell, /bin/bash"
	settings_from_elsewhere NEXUS_KEEP_DAYS=7
	refused_and_untouched "the user nexus has a login shell, /bin/bash"
	useradd --create-home --shell /bin/bash memory
	settings_from_elsewhere NEXUS_USER=memory
	refused_and_untouched "the user memory exists"
	userdel --remove memory 2>/dev/null
	rm -r /etc/nexus
	"$clone/install.sh" --uninstall --purge --yes >/dev/null 2>&1
	same "the account after a purge" "$(getent passwd nexus | cut -d: -f6-)" "/home/nexus:/bin/bash"
	test -d /home/nexus
	# The remedy from the message.
	usermod --login sonatype nexus
	groupmod --new-name sonatype nexus
	exits 0 "NEXUS runs" install_now
	"$clone/install.sh" --uninstall --purge --yes >/dev/null
	userdel --remove sonatype 2>/dev/null
	groupadd --system nexus
	usermod --append --groups nexus nobody
	refused_and_untouched "the group nexus has members: nobody"
	gpasswd --delete nobody nexus >/dev/null
	groupdel nexus
	nothing_is_left
}

# whose_account NAME: prints the account's entries, and the content of its home.
whose_account() {
	getent passwd "$1" && getent group "$1" && getent shadow "$1"
	find "/home/$1" -printf '%p %m %u %g %s %T@\n' | sort
	find "/home/$1" -type f -exec sha256sum {} + | sort
}

# names_of_units: prints the users and groups of NEXUS's units in systemd, each once. nexus-docker and nexus-embed have DynamicUser=.
names_of_units() {
	systemctl list-unit-files --no-legend 'nexus-*' | awk '{ sub("@\\.", "@x.", $1); print $1 }' |
		xargs systemctl show --property=User,Group,SocketUser,SocketGroup,SupplementaryGroups | cut -s -d= -f2 | tr ' ' '\n' | sort -u | grep . | paste -sd' '
}

# NEXUS works beside a person's account called nexus, and does not touch it.
another_account_for_the_jobs() {
	local before name settings=/etc/nexus/nexus.env
	# Not 1000, which Redis's image uses.
	useradd --uid 1234 --create-home --shell /bin/bash nexus
	echo mine >/home/nexus/letter
	chown nexus:nexus /home/nexus/letter
	before=$(whose_account nexus)
	refused_and_untouched "Let NEXUS use another name (mkdir -p /etc/nexus; echo NEXUS_USER=memory >>/etc/nexus/nexus.env)"
	for name in Memory -memory 'me mory' ../memory 0 a23456789012345678901234567; do
		NEXUS_USER=$name exits 78 "NEXUS_USER is not the name of an account" install_now
	done
	# Accounts and groups with special rights.
	NEXUS_USER=docker refused_and_untouched "the group docker exists"
	NEXUS_USER=www-data refused_and_untouched "the user www-data exists"

	# The owner's own file has the name of NEXUS's.
	echo 'd /run/of-mine' >/etc/tmpfiles.d/nexus.conf
	NEXUS_USER=memory exits 78 "/etc/tmpfiles.d/nexus.conf replaces NEXUS's own" install_now
	same "the person's file" "$(cat /etc/tmpfiles.d/nexus.conf)" 'd /run/of-mine'
	same "accounts of NEXUS" "$(getent passwd | grep ':NEXUS ' || true)" ""
	rm /etc/tmpfiles.d/nexus.conf

	NEXUS_USER=memory exits 0 "NEXUS runs" install_now
	same "accounts of NEXUS" "$(getent passwd | grep ':NEXUS ' | cut -d: -f1 | sort | paste -sd' ')" "memory memory-api memory-proxy"
	same "accounts of units" "$(names_of_units)" "docker memory memory-api memory-proxy nexus-docker nexus-embed root systemd-journal"
	same "the user that nexus-proxy.service gives to Caddy" "$(user_of_caddy)" "$(id -u memory-proxy):$(id -g memory-proxy)"
	same "the setting" "$(grep '^NEXUS_USER=' "$settings")" NEXUS_USER=memory
	the_jobs_work
	the_client_trusts_the_account_of_the_api
	mountpoint --quiet /run/nexus/scratch
	same "whose the mount is" "$(stat --format=%G /run/nexus/scratch)" memory
	# As systemd does at each boot.
	if systemd-sysusers; then systemd-tmpfiles --create 2>/dev/null || true; fi
	same "files of the person's account elsewhere" "$(find / /run -xdev \( -user nexus -o -group nexus \) -not -path '/home/nexus*')" ""
	same "accounts of before" "$(getent passwd nexus-api nexus-proxy || true)$(getent group nexus-api nexus-proxy || true)" ""

	exits 0 "nothing is missing" nexus-setup --check
	exits 0 "NEXUS runs" nexus-setup --yes
	# NEXUS_USER cannot change it later.
	NEXUS_USER=other exits 78 "belong to the user memory: write NEXUS_USER=memory" install_now
	sed -i 's/^NEXUS_USER=.*/NEXUS_USER=nexus/' "$settings"
	exits 78 "wrong    NEXUS_USER=nexus, but NEXUS's files on this machine belong to the user memory" nexus-setup --check
	exits 78 "write NEXUS_USER=memory" nexus-setup --yes
	sed -i '/^NEXUS_USER=/d' "$settings"
	exits 0 "NEXUS runs" nexus-setup --yes
	same "the setting" "$(grep '^NEXUS_USER=' "$settings")" NEXUS_USER=memory

	exits 0 "Its data is still here" "$clone/install.sh" --uninstall
	same "leftovers in /etc" "$(find /etc -name '*nexus*' -prune)" /etc/nexus
	exits 0 "NEXUS runs" install_now
	the_jobs_work
	exits 0 "are removed from this machine" "$clone/install.sh" --uninstall --purge --yes
	same "the person's account and home" "$(whose_account nexus)" "$before"
	userdel --remove nexus 2>/dev/null
	nothing_is_left
	same "accounts of NEXUS" "$(getent passwd | grep ':NEXUS ' || true)$(getent group memory memory-api memory-proxy || true)" ""
}

# nexus_client.py sends texts to the API's account on this machine, and not to another program with the usual name of it.
the_client_trusts_the_account_of_the_api() {
	# shellcheck disable=SC2034 # a_stranger sets it
	local stranger
	exits 0 "" as_daemon http://127.0.0.1:8003 remember "to the API"
	systemctl stop nexus-api.socket nexus-api-ipv6.socket nexus-api.service
	useradd --system --no-create-home nexus-api
	a_stranger 127.0.0.1 127.0.0.1:8003 nexus-api
	fails "belongs to another user's program" as_daemon http://127.0.0.1:8003 remember secret
	same "requests to the stranger" "$(grep -c HTTP "$work/asked" || true)" 0
	stranger_goes
	userdel nexus-api
	systemctl start nexus-api.socket nexus-api-ipv6.socket
}

# Runs the jobs by their units.
the_jobs_work() {
	local id text api=127.0.0.1:8003/memory
	text="the lighthouse keeper at $(date +%s%N)"
	curl --silent --fail "$api/action" --json '{"action_type": "note", "action_details": {"content": "stays"}}' >/dev/null
	id=$(curl --silent --fail "$api/action" --json "{\"action_type\": \"note\", \"action_details\": {\"content\": \"$text\"}}" | jq --raw-output .episode_id)
	same "the search result" "$(curl --silent --fail "$api/search" --json '{"query": "lighthouse keeper"}' | jq --arg text "$text" '[.. | strings | select(. == $text)] | length')" 1
	systemctl start nexus-backup nexus-restore-test nexus-purge nexus-health-ports nexus-remote-note nexus-embed-backfill nexus-alert-test
	same "proven sets" "$(nexus-restore list --json | jq '[.. | objects | select(.proven == true)] | length > 0')" true
	# Over nexus-purge's own socket.
	curl --silent --fail --request DELETE "$api/episode/$id" >/dev/null
	same "copies after that" "$(curl --silent "$api/search" --json '{"query": "lighthouse keeper"}' | jq --arg text "$text" '[.. | strings | select(. == $text)] | length')" 0
	same "failed units" "$(systemctl list-units --plain --no-legend --state=failed 'nexus-*')" ""
	# Ignores the load of other programs.
	same "its round, and critical findings" "$({ nexus-health --once --json || true; } |
		jq --raw-output '"\(.findings | length > 40) \([.findings[] | select(.level == "critical") | .id | select(test("^(cpu|pressure-)") | not)] | join(" "))"')" "true "
	healthy
}

# NEXUS's preferred numbers are taken, groups have members, and an account without a shell existed before.
accounts_that_stay() {
	local number
	useradd --uid 766 --user-group --no-create-home alice
	useradd --system --no-create-home --home-dir / --shell /usr/sbin/nologin nexus-api
	exits 0 "NEXUS runs" install_now
	number=$(id -u nexus-proxy)
	((number != 766))
	same "whose Caddy's certificates are" "$(stat --format=%U /var/lib/nexus/proxy)" nexus-proxy
	same "the user that nexus-proxy.service gives to Caddy" "$(user_of_caddy)" "$number:$(id -g nexus-proxy)"
	usermod --append --groups nexus alice
	exits 0 "the group nexus stays: its members are alice" "$clone/install.sh" --uninstall --purge --yes
	same "accounts afterwards" "$(getent passwd alice nexus-api nexus nexus-proxy | cut -d: -f1 | paste -sd' ')" "alice nexus-api"
	same "groups afterwards" "$(getent group alice nexus-api nexus nexus-proxy | cut -d: -f1 | paste -sd' ')" "alice nexus-api nexus"
	userdel alice
	userdel nexus-api
	groupdel nexus
	nothing_is_left
}
# Evaluates the unit's own command, which does not need Caddy's image.
user_of_caddy() {
	local command
	command=$(sed -n "s/^ExecStart=sh -c '\(.*\) exec docker compose up.*/\1/p" /usr/local/lib/systemd/system/nexus-proxy.service)
	env "$(systemctl show --value --property=Environment nexus-proxy.service | grep -o 'PROXY_ACCOUNT=[^ ]*')" bash -c "${command//\$\$/\$} exec docker compose --env-file /etc/nexus/nexus.env --file /usr/local/share/nexus/compose/docker-compose.yml --profile proxy config --format json" |
		jq --raw-output .services.proxy.user
}
