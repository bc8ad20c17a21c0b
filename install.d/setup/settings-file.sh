# Reads /etc/nexus/nexus.env. systemd (EnvironmentFile=), Docker Compose and the helpers read it too, each by its own rules. They agree
# on the lines that refused_settings accepts. The package's scripts include this file, which needs no other.
# shellcheck shell=bash

# setting_of FILE NAME: prints its value as systemd reads it: without surrounding blanks and quotes; the last line wins.
setting_of() {
	local value
	[[ -r $1 ]] || return 0
	value=$(sed -n "s/^[[:space:]]*$2[[:space:]]*=//p" "$1" | tail -n 1 | sed 's/^[[:space:]]*//; s/[[:space:]]*$//')
	if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then value=${BASH_REMATCH[1]}; fi
	printf '%s' "$value"
}

# refused_settings FILE: for each line that the readers would read differently, prints its number, the reason, and what to write
# instead. Never prints the line itself, which may be a secret.
refused_settings() {
	local LC_ALL=C number=0 line no_text is_text refusal
	[[ -r $1 ]] || return 0
	# Numbers of the lines that are not UTF-8.
	no_text=" $({ LC_ALL=C.UTF-8 grep -naxv '.*' "$1" || true; } | cut -d: -f1 | paste -sd' ') "
	while IFS= read -r line || [[ -n $line ]]; do
		number=$((number + 1))
		if [[ $no_text == *" $number "* ]]; then is_text=no; else is_text=yes; fi
		refusal_of_line "$line" "$1" "$is_text"
		[[ -z $refusal ]] || printf 'line %s of %s %s\n' "$number" "$1" "$refusal"
	done < <(tr '\0' '\1' <"$1")
}

# refusal_of_line LINE FILE IS_TEXT: sets refusal. IS_TEXT is no if the line is not UTF-8. All readers ignore Windows' line ends and
# trailing blanks.
refusal_of_line() {
	local line=${1%$'\r'} value
	refusal=''
	line=${line%"${line##*[![:blank:]]}"}
	value=${line#*=}
	if [[ $line == $'\xef\xbb\xbf'* ]]; then
		refusal="begins with a byte order mark: remove it with sed -i '1s/^\\xef\\xbb\\xbf//' $2"
	elif [[ $line =~ ^[[:blank:]]*(#.*)?$ ]]; then
		if [[ ${1%$'\r'} == *\\ ]]; then refusal='is a comment that ends with a backslash, after which older versions of systemd skip the next line: remove the backslash'; fi
	elif [[ $3 == no ]]; then
		refusal='is not in UTF-8: save the file as UTF-8, without a byte order mark'
	elif [[ $line == *[[:cntrl:]]* ]]; then
		refusal='has a tab, a carriage return or another control character in it: write NAME=value without it'
	elif [[ $line == *$'\xc2\xa0'* || $line == *$'\xe2\x80'* || $line == *$'\xe3\x80\x80'* || $line == *$'\xef\xbb\xbf'* ]]; then
		refusal='has a character that only looks like a blank, a quote or a dash: type it again'
	elif [[ $line =~ ^[[:blank:]]*export[[:blank:]] ]]; then
		refusal='begins with export: write NAME=value without it'
	elif [[ $line =~ ^[[:blank:]]*\; ]]; then
		refusal='begins with a semicolon: a comment begins with #'
	elif [[ $line =~ ^[[:blank:]]*[A-Za-z_][A-Za-z0-9_]*[[:blank:]]*= && ($line != [A-Za-z_]* || $line =~ ^[^=]*[[:blank:]] || ${1#*=} == [[:blank:]]*) ]]; then
		refusal='has blanks before its name or beside its =: write NAME=value'
	elif ! [[ $line =~ ^[A-Za-z_][A-Za-z0-9_]*= ]]; then
		refusal='is neither NAME=value nor a comment: write NAME=value, or # before a comment'
	elif [[ $value == \"* && ! $value =~ ^\"[^\"\\\$\`]*\"$ ]]; then
		refusal='has more in it than one text in double quotes: write the value without quotes, or in one pair of single quotes'
	elif [[ $value == \'* && ! $value =~ ^\'[^\'\\]*\'$ ]]; then
		refusal='has more in it than one text in single quotes: write the value without quotes'
	elif [[ $value == *\\* ]]; then
		refusal='has a backslash in its value: write it without, the whole value on one line'
	elif [[ $value != [\"\']* && $value == *\$* ]]; then
		refusal="has a dollar sign in its value: put the value in single quotes, NAME='value'"
	elif [[ $value != [\"\']* && ($value == \#* || $value == *' #'*) ]]; then
		refusal="has a # in its value: put a comment on a line of its own, or the value in single quotes, NAME='value'"
	fi
}
