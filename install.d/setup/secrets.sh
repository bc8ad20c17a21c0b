# Creates passwords and keys once; later runs keep them. They are never in an argument, an environment, a terminal or a log, except
# the owner's identity, which the owner sees once.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

owner=''

# Prints 256 random bits in characters that need no quoting anywhere.
random_password() { head --bytes=32 /dev/urandom | base64 --wrap=0 | tr '+/' '-_' | tr -d '='; }

# Stops before anything changes, if accounts, containers or volumes of others are in the way. A volume of an earlier NEXUS opens only
# with its first password.
check_remains() {
	local refusal
	refusal=$(account_refusal)
	# An earlier version used an existing account, and gave it the backups. Settings alone may come from another machine.
	[[ -z $refusal || ($jobs_user == nexus && -s $recipients && -s $settings && $(stat --format=%U -- /var/lib/nexus/backups 2>/dev/null) == nexus) ]] ||
		stop 69 "$refusal"
	refusal=$(docker_refusal memory)
	[[ -z $refusal ]] || stop 69 "$refusal"
	if volume_exists nexus_postgres_data && [[ ! -s $keys/postgres_password ]]; then
		stop 78 "the database of an earlier NEXUS is still here (Docker's volume nexus_postgres_data), but not its password ($keys/postgres_password): put back /etc/nexus/credentials from your copy, or, to start without the old data: docker volume rm nexus_postgres_data"
	fi
}

make_secrets() {
	local password
	if [[ ! -s $keys/postgres_password ]]; then random_password | put "$keys/postgres_password" 0600 999:999; fi
	password=$(<"$keys/postgres_password")
	# For programs inside the container: any host, port and database.
	printf '*:*:*:postgres:%s\n' "$password" | put_if_new "$keys/postgres_pgpass" 0600 999:999

	if [[ ! -s $keys/nexus_app_password ]]; then random_password | put "$keys/nexus_app_password" 0600 999:999; fi
	# For the role that stores vectors: see compose/postgres/init/0004-embedding.sql.
	if [[ ! -s $keys/nexus_embed_password ]]; then random_password | put "$keys/nexus_embed_password" 0600 999:999; fi

	if [[ ! -s $keys/redis_password ]]; then random_password | put "$keys/redis_password" 0600 root:root; fi
	# The purge ledger hides ids with this key. One key a line; new entries use the first. Sets contain it, encrypted.
	if [[ ! -s $keys/ledger_key ]]; then random_password | put "$keys/ledger_key" 0600 root:root; fi
	# 472 is Grafana's user in its image. Always created, so that NEXUS_METRICS=on needs nothing else.
	if [[ ! -s $keys/grafana_password ]]; then random_password | put "$keys/grafana_password" 0600 472:0; fi
	if [[ ! -s $keys/redis_api_password ]]; then random_password | put "$keys/redis_api_password" 0600 root:root; fi
	write_redis_users
	set_owners_of_secrets
}

# sum_of SECRET: prints its digest as Redis's ACL file has it.
sum_of() { printf '%s' "$(<"$keys/$1")" | sha256sum | cut -d' ' -f1; }

# What nexus-api needs in Redis (helpers/nexus-api/src/cache): its own keys and the copies that nexus-purge looks for. No scripts,
# functions or transactions: while Redis executes one it answers no other client, and a program with this password could make it endless.
rights_of_the_api='~nexus-api:* ~episode:* resetchannels -@all +ping +get +mget +set +del +hgetall +hset +hdel +pexpire'

# Writes Redis's ACL file. The owner may add users to it: a file with the present password keeps all but nexus-api's line.
write_redis_users() {
	local sum api
	sum=$(sum_of redis_password)
	if ! grep -qF "#$sum" "$keys/redis_acl" 2>/dev/null; then
		printf 'user default on #%s ~* &* +@all\nuser health on nopass resetkeys resetchannels -@all +ping\n' "$sum" |
			put "$keys/redis_acl" 0600 999:1000
	fi
	api="user nexus-api on #$(sum_of redis_api_password) $rights_of_the_api"
	if ! grep -qxF "$api" "$keys/redis_acl"; then
		{ grep -v '^user nexus-api ' "$keys/redis_acl" && printf '%s\n' "$api"; } | put "$keys/redis_acl" 0600 999:1000
	fi
}

# Gives each secret to the user that reads it.
set_owners_of_secrets() {
	local name
	for name in postgres_password nexus_app_password nexus_embed_password; do own "$keys/$name" 0600 999:999; done
	for name in redis_password redis_api_password ledger_key machine_identity remote_token api_token alert_webhook; do own "$keys/$name" 0600 root:root; done
	own "$keys/grafana_password" 0600 472:0
	own "$keys/redis_acl" 0600 999:1000
	own "$recipients" 0644 root:root
	own "$settings" 0640 "root:$jobs_user"
}

# Stops before anything changes, if there is no owner yet and no terminal to show a new key on.
require_owner() {
	[[ -s $recipients || -n $owner_identity || ($yes == no && -t 0) ]] ||
		stop 64 "an owner must be chosen: give --owner-identity FILE, or run this on a terminal, without --yes"
}

# Sets owner to the owner's recipient; leaves it empty if recipients.txt exists.
choose_owner() {
	local line kind
	require_owner
	if [[ -s $recipients ]]; then
		say "$recipients stays as it is; it lists who can open the backups"
		return
	fi
	if [[ -n $owner_identity && -e $owner_identity ]]; then
		open_identity
		owner=$(age-keygen -y - <&"$identity") || stop 78 "$owner_identity holds no age identity$(is_locked "$owner_identity" && echo ' that is not locked with a passphrase'): name another file after --owner-identity"
		exec {identity}<&-
		say "the key in $owner_identity opens the backups: $owner"
	elif [[ -n $owner_identity ]]; then
		(umask 077 && age-keygen -o "$owner_identity" 2>/dev/null) ||
			stop 73 "cannot create $owner_identity: name a file in an existing directory after --owner-identity"
		open_identity
		owner=$(age-keygen -y - <&"$identity")
		if [[ -n ${SUDO_USER:-} ]]; then chown "$SUDO_USER:" "/dev/fd/$identity"; fi
		exec {identity}<&-
		say "the owner's identity is in $owner_identity. Keep it away from this machine: it alone opens the backups when this machine is lost."
	else
		show_new_identity
	fi
	while IFS= read -r line; do
		kind=$(kind_of_recipient "$line")
		[[ -z $kind ]] || stop 78 "the owner's identity goes with $kind: $only_ages_own"
	done <<<"$owner"
}

# Opens the owner's identity, as file descriptor $identity; the caller closes it. The user who wrote that file can open every backup,
# so it must belong to root or to the user who called sudo, and no other user may write to it. Checks the opened file: in a directory of
# another user, that user can replace it at any time.
open_identity() {
	local user mode kind name
	[[ -f $owner_identity ]] || stop 78 "$owner_identity is not a regular file: name another one after --owner-identity"
	exec {identity}<"$owner_identity"
	read -r user mode kind < <(stat --dereference --format='%u %a %F' "/dev/fd/$identity")
	name=$(id --name --user "$user" 2>/dev/null || echo "user number $user")
	[[ $kind == regular* && ($user == 0 || $user == "${SUDO_UID:-0}") ]] ||
		stop 77 "$owner_identity belongs to $name, who could then open every backup. If you want that: chown root $owner_identity"
	((!(8#$mode & 8#022))) || stop 77 "users other than $name can write to $owner_identity, and would open every backup. Check the file, then: chmod go-w $owner_identity"
}

# is_locked FILE: whether age --passphrase wrote it.
is_locked() { head --bytes=40 "$1" | grep --quiet --text -e '^age-encryption.org/' -e '^-----BEGIN AGE ENCRYPTED FILE'; }

# Creates an identity, shows it once on the terminal, and keeps only its public half.
show_new_identity() {
	local made identity typed
	made=$(age-keygen 2>/dev/null)
	identity=$(grep '^AGE-SECRET-KEY-' <<<"$made")
	owner=$(age-keygen -y - <<<"$identity")
	cat >/dev/tty <<-TEXT

		This is the owner's key. It opens every backup. If this machine is lost, the backups are lost without it.
		NEXUS shows it once and does not keep it. Save it away from this machine: in a password manager, on paper.

		    $identity

	TEXT
	while true; do
		read -r -p 'Once it is saved, type its last 6 characters (or q to stop): ' typed </dev/tty
		[[ ${typed,,} != q ]] || stop 64 "stopped: no key was kept and nothing was started; to begin again, run $program"
		if [[ ${typed^^} == "${identity: -6}" ]]; then break; fi
		say "those are not its last 6 characters" >/dev/tty
	done
}

# Creates the machine's own identity, for the restore test, and writes both recipients.
write_recipients() {
	local machine
	if [[ ! -s $keys/machine_identity ]]; then
		age-keygen 2>/dev/null | put "$keys/machine_identity" 0600 root:root
	fi
	[[ -n $owner ]] || return 0
	machine=$(age-keygen -y "$keys/machine_identity")
	put "$recipients" 0644 root:root <<-TEXT
		# Who can open the backups: one age recipient a line. Each backup is encrypted to all of them.
		# To add a person, run \`age-keygen\` on their machine; they cannot open older sets.
		# The owner. The identity for it is not on this machine.
		$owner
		# This machine. Without this line it cannot test its own backups.
		$machine
	TEXT
}
