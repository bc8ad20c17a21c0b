# Passwords and keys. Made once, kept by every later run; never an argument, never in an environment, never on a
# terminal or in a log, but for the owner's identity, which is shown to the owner.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

owner=''

# 256 random bits in letters that need no quoting anywhere.
random_password() { head --bytes=32 /dev/urandom | base64 --wrap=0 | tr '+/' '-_' | tr -d '='; }

# Accounts, containers and volumes of others stop an installation before it changes anything. A volume of an earlier NEXUS opens
# only with the password that it was created with.
check_remains() {
	local refusal
	refusal=$(account_refusal)
	# An earlier version used the existing account.
	[[ -z $refusal || (-s $recipients && -s $settings) ]] || stop 69 "$refusal"
	refusal=$(docker_refusal memory)
	[[ -z $refusal ]] || stop 69 "$refusal"
	if volume_exists nexus_postgres_data && [[ ! -s $keys/postgres_password ]]; then
		stop 78 "the database of an earlier NEXUS is still here (Docker's volume nexus_postgres_data), but not its password ($keys/postgres_password): put back /etc/nexus/credentials from where you keep it, or, to start without the old data: docker volume rm nexus_postgres_data"
	fi
}

make_secrets() {
	local password
	if [[ ! -s $keys/postgres_password ]]; then random_password | put "$keys/postgres_password" 0600 999:999; fi
	password=$(<"$keys/postgres_password")
	# For what runs inside the container: any host, port and database.
	printf '*:*:*:postgres:%s\n' "$password" | put_if_new "$keys/postgres_pgpass" 0600 999:999

	if [[ ! -s $keys/nexus_app_password ]]; then random_password | put "$keys/nexus_app_password" 0600 999:999; fi
	# Of the role that fills in vectors; see compose/postgres/init/0004-embedding.sql.
	if [[ ! -s $keys/nexus_embed_password ]]; then random_password | put "$keys/nexus_embed_password" 0600 999:999; fi

	if [[ ! -s $keys/redis_password ]]; then random_password | put "$keys/redis_password" 0600 root:root; fi
	# With it the purge ledger hides ids; one a line, the first for what is new. Sets carry it, encrypted.
	if [[ ! -s $keys/ledger_key ]]; then random_password | put "$keys/ledger_key" 0600 root:root; fi
	# 472 is Grafana in its image. Made whether or not it runs, so that NEXUS_METRICS=on needs nothing else.
	if [[ ! -s $keys/grafana_password ]]; then random_password | put "$keys/grafana_password" 0600 472:0; fi
	if [[ ! -s $keys/redis_api_password ]]; then random_password | put "$keys/redis_api_password" 0600 root:root; fi
	write_redis_users
	own_secrets
}

# sum_of SECRET: its digest as in Redis's file of users.
sum_of() { printf '%s' "$(<"$keys/$1")" | sha256sum | cut -d' ' -f1; }

# What nexus-api does in Redis (helpers/nexus-api/src/cache), with its own keys and the copies that nexus-purge looks for. No scripts,
# functions or transactions: while Redis executes one it answers nobody else, and any program with this password could make it endless.
may_be_done_by_the_api='~nexus-api:* ~episode:* resetchannels -@all +ping +get +mget +set +del +hgetall +hset +hdel +pexpire'

# The owner may add users here: only a file without the present password is rewritten; in any other, only nexus-api's line.
write_redis_users() {
	local sum api
	sum=$(sum_of redis_password)
	if ! grep -qF "#$sum" "$keys/redis_acl" 2>/dev/null; then
		printf 'user default on #%s ~* &* +@all\nuser health on nopass resetkeys resetchannels -@all +ping\n' "$sum" |
			put "$keys/redis_acl" 0600 999:1000
	fi
	api="user nexus-api on #$(sum_of redis_api_password) $may_be_done_by_the_api"
	if ! grep -qxF "$api" "$keys/redis_acl"; then
		{ grep -v '^user nexus-api ' "$keys/redis_acl" && printf '%s\n' "$api"; } | put "$keys/redis_acl" 0600 999:1000
	fi
}

# The servers read their secrets as their own users.
own_secrets() {
	local name
	for name in postgres_password nexus_app_password nexus_embed_password; do own "$keys/$name" 0600 999:999; done
	for name in redis_password redis_api_password ledger_key machine_identity remote_token api_token alert_webhook; do own "$keys/$name" 0600 root:root; done
	own "$keys/grafana_password" 0600 472:0
	own "$keys/redis_acl" 0600 999:1000
	own "$recipients" 0644 root:root
	own "$settings" 0640 "root:$jobs_user"
}

# Before anything is done: without a terminal the owner's key cannot be shown.
owner_can_be_known() {
	[[ -s $recipients || -n $owner_identity || ($yes == no && -t 0) ]] ||
		stop 64 "an owner must be chosen: give --owner-identity FILE, or run this on a terminal, without --yes"
}

# Sets owner to the owner's recipient, or leaves it empty where recipients.txt has one already.
choose_owner() {
	local line kind
	owner_can_be_known
	if [[ -s $recipients ]]; then
		say "$recipients is there and stays; see it for who can open the backups"
		return
	fi
	if [[ -n $owner_identity && -e $owner_identity ]]; then
		open_identity
		owner=$(age-keygen -y - <&"$identity") || stop 78 "$owner_identity holds no age identity$(is_locked "$owner_identity" && echo ' that is not locked with a passphrase'): name another file after --owner-identity"
		say "the owner is whoever holds $owner_identity: $owner"
	elif [[ -n $owner_identity ]]; then
		(umask 077 && age-keygen -o "$owner_identity" 2>/dev/null) ||
			stop 73 "cannot make $owner_identity: name a file in a directory that is there after --owner-identity"
		open_identity
		owner=$(age-keygen -y - <&"$identity")
		if [[ -n ${SUDO_USER:-} ]]; then chown "$SUDO_USER:" "/dev/fd/$identity"; fi
		say "the owner's identity is in $owner_identity. Keep it where this machine is not: it opens every backup, and nothing else does."
	else
		show_new_identity
	fi
	while IFS= read -r line; do
		kind=$(kind_of_recipient "$line")
		[[ -z $kind ]] || stop 78 "the owner's identity goes with $kind: $only_ages_own"
	done <<<"$owner"
}

# Opens the owner's identity, as file descriptor $identity. The author of that file can open every backup: it must be root's, or of the
# person who called sudo, and no other user may be able to write to it. Checked once it is open: in a directory of another user, that
# user can put another file there at any time.
open_identity() {
	local user mode kind name
	[[ -f $owner_identity ]] || stop 78 "$owner_identity is not a regular file: name another one after --owner-identity"
	exec {identity}<"$owner_identity"
	read -r user mode kind < <(stat --dereference --format='%u %a %F' "/dev/fd/$identity")
	name=$(id --name --user "$user" 2>/dev/null || echo "user number $user")
	[[ $kind == regular* && ($user == 0 || $user == "${SUDO_UID:-0}") ]] ||
		stop 77 "$owner_identity belongs to $name, who could then open every backup. If that is meant: chown root $owner_identity"
	((!(8#$mode & 8#022))) || stop 77 "others than $name can write to $owner_identity, and would open every backup: chmod go-w $owner_identity, after a look at it"
}

# As age --passphrase writes it.
is_locked() { head --bytes=40 "$1" | grep --quiet --text -e '^age-encryption.org/' -e '^-----BEGIN AGE ENCRYPTED FILE'; }

# A new identity, shown once on the terminal, and kept nowhere: only its public half goes on.
show_new_identity() {
	local made identity typed
	made=$(age-keygen 2>/dev/null)
	identity=$(grep '^AGE-SECRET-KEY-' <<<"$made")
	owner=$(age-keygen -y - <<<"$identity")
	cat >/dev/tty <<-TEXT

		This is the owner's key. It opens every backup; without it they are lost when this machine is.
		It is shown once and not kept here. Save it where this machine is not: a password manager, paper.

		    $identity

	TEXT
	while true; do
		read -r -p 'Once it is saved, type its last 6 characters (or q to stop): ' typed </dev/tty
		[[ ${typed,,} != q ]] || stop 64 "stopped: no key was kept and nothing was started; $program begins anew"
		if [[ ${typed^^} == "${identity: -6}" ]]; then break; fi
		say "that is not how it ends" >/dev/tty
	done
}

# The machine's own identity, for the restore test, and both recipients.
write_recipients() {
	local machine
	if [[ ! -s $keys/machine_identity ]]; then
		age-keygen 2>/dev/null | put "$keys/machine_identity" 0600 root:root
	fi
	[[ -n $owner ]] || return 0
	machine=$(age-keygen -y "$keys/machine_identity")
	put "$recipients" 0644 root:root <<-TEXT
		# Who can open the backups: age recipients, one a line, and a backup is encrypted to all of them.
		# Add a person's own with \`age-keygen\` on their machine; sets made before stay closed to them.
		# The owner. The identity that goes with it is not on this machine.
		$owner
		# This machine, so that it can test its own backups. Without this line it cannot.
		$machine
	TEXT
}
