# Reports the lines of recipients.txt that nexus-backup would refuse at night, in its words.
# shellcheck shell=bash disable=SC2034 # what one part sets, another reads

# As in helpers/lib/backup-set/src/recipient.rs.
only_ages_own="NEXUS encrypts to age's own keys only: put a recipient there that age-keygen -y prints (age1…, 62 characters)"

# kind_of_recipient TEXT: prints what kind of text it is, if NEXUS does not accept it as a recipient. Never repeats an identity.
kind_of_recipient() {
	local LC_ALL=C kind=${1#age1}
	# The data after the last 1 contains none.
	if [[ $kind == *1* ]]; then kind=${kind%1*}; else kind=''; fi
	if [[ $1 =~ ^age1[02-9ac-hj-np-z]{58}$ ]]; then
		# age verifies the checksum.
		if ! command -v age >/dev/null || age --recipient "$1" </dev/null >/dev/null 2>&1; then return; fi
		echo 'a misspelt age recipient'
	elif [[ $1 == age1* && $kind == yubikey ]]; then
		echo 'a recipient of a YubiKey (age1yubikey1…)'
	elif [[ $1 == age1* && $kind == pq ]]; then
		echo 'a post-quantum recipient (age1pq1…)'
	elif [[ $1 == age1* && $kind =~ ^[a-z0-9-]{1,16}$ ]]; then
		echo "a recipient of another kind (age1${kind}1…)"
	elif [[ $1 == age1* ]]; then
		echo 'a misspelt age recipient'
	elif [[ ${1^^} =~ ^AGE-(SECRET-KEY|PLUGIN)- ]]; then
		echo 'an identity, which opens backups and must not be there'
	elif [[ $1 =~ ^(ssh|ecdsa|sk-ssh|sk-ecdsa)- ]]; then
		echo 'an SSH key'
	else
		echo 'no age recipient'
	fi
}

# refused_recipients FILE: prints a message for each line that is not a recipient.
refused_recipients() {
	local number=0 line kind
	[[ -r $1 ]] || return 0
	while read -r line || [[ -n $line ]]; do
		number=$((number + 1))
		line=${line%%$'\r'}
		if [[ -z $line || $line == '#'* ]]; then continue; fi
		kind=$(kind_of_recipient "$line")
		[[ -z $kind ]] || printf 'line %s of %s is %s: %s\n' "$number" "$1" "$kind" "$only_ages_own"
	done <"$1"
}
