# Makes text of others safe to print: names of files, containers and roles, and what programs say.
# The package's scripts include this file, which needs no other.
# shellcheck shell=bash

# Makes untrusted text (of a server, a unit, a file) safe for a terminal: replaces characters that would control it or reorder the
# text with a question mark. In bytes: C0 except tab and line feed, DEL, C1, direction marks, other line ends. Same as
# `printable_lines` of helpers/lib/cli/src/text.rs.
printable_lines() {
	LC_ALL=C sed --unbuffered -E 's/[\x01-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8b\x8e\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf|\xef\xbf[\xb9-\xbb]|\xf3\xa0[\x80\x81][\x80-\xbf]/?/g; s/\x00/?/g'
}

# printable WORD…: prints them on one line, so that a name with a line feed cannot fake a message of ours.
printable() { printf '%s\n' "${*//$'\n'/?}" | printable_lines; }
