# Carries over what is not in the memory's backup during a major upgrade: other databases, roles with their passwords and settings,
# the settings of ALTER SYSTEM, pg_hba.conf and pg_ident.conf.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

# Query: whether a database that initdb created has user-defined objects.
has_user_objects="SELECT EXISTS (SELECT FROM pg_class WHERE oid >= 16384 UNION ALL SELECT FROM pg_proc WHERE oid >= 16384
	UNION ALL SELECT FROM pg_type WHERE oid >= 16384 UNION ALL SELECT FROM pg_namespace WHERE oid >= 16384
	UNION ALL SELECT FROM pg_extension WHERE oid >= 16384 UNION ALL SELECT FROM pg_largeobject_metadata)"

# Prints the directory of the other databases' dumps. The dumps exist from the time the old server is read-only until the new one has
# them. They are not encrypted, like the volume. They are beside it and not in it, because the server's user could put a link there.
dumps() { printf '%s/moving' "$(dirname "$(clusters)")"; }
remove_dumps() {
	local place
	place=$(dumps)
	rm -rf --one-file-system -- "${place:?}"
}

# write_cluster_file MAJOR NAME: writes standard input to a file of a cluster, as the server's user in the server's container. Root must not
# do it, because that user can put links in the path.
# shellcheck disable=SC2016 # the other shell expands it
write_cluster_file() {
	docker exec --interactive --user 999:999 nexus-postgres \
		bash -c 'set -e; cd "/var/lib/postgresql/$1/docker"; umask 077; cat >"$2.partial"; sync "$2.partial"; mv -T "$2.partial" "$2"' - "$1" "$2"
}

# other_databases: prints every database except the memory and those that are unchanged since initdb, each name ended by NUL.
other_databases() {
	local name names
	# Read all names first, because in_database in the loop would read the rest of them.
	mapfile -d '' names < <(in_database postgres --record-separator-zero --set=memory="$(setting NEXUS_PG_DATABASE)" <<<"SELECT datname FROM pg_database WHERE datname NOT IN ('template0', :'memory') ORDER BY datname")
	wait "$!"
	for name in "${names[@]}"; do
		if [[ $name != postgres && $name != template1 || $(in_database "$name" --command="$has_user_objects") == t ]]; then printf '%s\0' "$name"; fi
	done
}

# Stops before anything starts, if something cannot be carried over.
check_movable() {
	local found
	found=$(in_database postgres --command="SELECT string_agg(quote_ident(datname), ', ') FROM pg_database WHERE NOT datallowconn AND datname <> 'template0'")
	[[ -z $found ]] || stop 69 "these databases take no connections, so they cannot be moved: $found. Run ALTER DATABASE … ALLOW_CONNECTIONS true for each, or drop them"
	found=$(in_database postgres --command="SELECT string_agg(quote_ident(spcname), ', ') FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')")
	[[ -z $found ]] || stop 69 "tablespaces cannot be moved: $found. Move what is in them to pg_default (ALTER TABLE ALL IN TABLESPACE …), then run DROP TABLESPACE"
	found=$(in_database postgres --command="SELECT string_agg(quote_literal(gid), ', ') FROM pg_prepared_xacts")
	[[ -z $found ]] || stop 75 "prepared transactions are open: $found. Run COMMIT PREPARED or ROLLBACK PREPARED for each, then upgrade again"
}

# Reads from the old server, which is read-only. Keeps the roles in this process, so that their passwords reach no disk and no command
# line.
read_old_server() {
	local name number=0
	roles=$(guarded docker exec --env PGOPTIONS="$limits" nexus-postgres pg_dumpall --roles-only | sed -E '/^CREATE ROLE postgres;$/d; /^\\(un)?restrict /d')
	system_settings=$(in_database postgres --command="SELECT name || ' = ''' || replace(setting, '''', '''''') || '''' FROM pg_file_settings WHERE sourcefile LIKE '%/postgresql.auto.conf' ORDER BY seqno")
	access_rules=$(access_rules_here)
	remove_dumps
	install -d --mode=0700 "$(dumps)"
	other_databases >"$(dumps)/names"
	while IFS= read -r -d '' name; do
		number=$((number + 1))
		say "carrying over database $name"
		guarded docker exec --env PGOPTIONS="$limits" nexus-postgres pg_dump --format=custom --create --dbname="$(connection_to "$name")" >"$(dumps)/$number.dump"
		digest_of "$name" >"$(dumps)/$number.digest"
	done <"$(dumps)/names"
}

# Writes roles, settings and access rules to the new server, before the memory is restored into it.
write_new_server() {
	# Keep the hashes of the passwords out of every log.
	in_database postgres --single-transaction <<<"SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1;
		$roles" >/dev/null || stop 74 "the new server refused the roles of the old one: its messages are above"
	write_system_settings
	write_access_rules
	restart_server || stop 69 "the new server does not start with the settings of the old one: docker logs nexus-postgres"
}

# Carries over the settings of ALTER SYSTEM. Reports and leaves out those that the new server refuses.
write_system_settings() {
	local line known=''
	while IFS= read -r line; do
		if [[ -z $line ]]; then continue; fi
		if printf "include '/etc/postgresql/postgresql.conf'\n%s\n" "$line" | docker exec --interactive nexus-postgres \
			bash -c 'cat >/tmp/try.conf && postgres -C "$1" -D "$PGDATA" -c config_file=/tmp/try.conf; s=$?; rm /tmp/try.conf; exit $s' - "${line%% = *}" >/dev/null 2>&1; then
			known+=$line$'\n'
		else
			complain "PostgreSQL $to does not accept this setting of ALTER SYSTEM, which is left out: $line"
		fi
	done <<<"$system_settings"
	if [[ -n $known ]]; then printf '# Do not edit this file manually!\n%s' "$known" | write_cluster_file "$to" postgresql.auto.conf; fi
}

# Prints the rules of pg_hba.conf and pg_ident.conf, without comments.
access_rules_here() {
	in_database postgres --command="SELECT to_jsonb(r) - 'rule_number' - 'line_number' - 'file_name' FROM pg_hba_file_rules r ORDER BY line_number" \
		--command="SELECT to_jsonb(r) - 'map_number' - 'line_number' - 'file_name' FROM pg_ident_file_mappings r ORDER BY line_number"
}

write_access_rules() {
	local file wrong
	if [[ $(access_rules_here) == "$access_rules" ]]; then return; fi
	for file in pg_hba.conf pg_ident.conf; do
		docker exec --user 999:999 nexus-postgres cat "/var/lib/postgresql/$from/docker/$file" | write_cluster_file "$to" "$file"
	done
	wrong=$(in_database postgres --command="SELECT string_agg(error, '; ') FROM pg_hba_file_rules")
	[[ -z $wrong ]] || stop 78 "PostgreSQL $to does not accept pg_hba.conf: $wrong"
	say "pg_hba.conf and pg_ident.conf are those of PostgreSQL $from"
}

# Restores the other databases, and compares each with its old digest.
restore_databases() {
	local name number=0 into
	while IFS= read -r -d '' name; do
		number=$((number + 1))
		say "restoring database $name, and comparing every row"
		into=(--create --dbname=postgres)
		if [[ $name == postgres || $name == template1 ]]; then into=(--dbname="$name"); fi
		guarded docker exec --interactive --env PGOPTIONS="$limits" nexus-postgres pg_restore --exit-on-error "${into[@]}" <"$(dumps)/$number.dump" ||
			stop 74 "database $name was not restored: the messages of pg_restore are above"
		digest_of "$name" | cmp --quiet - "$(dumps)/$number.digest" || stop 74 "database $name is not the same in PostgreSQL $to"
	done <"$(dumps)/names"
	remove_dumps
}

# digest_of DATABASE: prints a line for each table (the number of rows, and the sum of their digests), sequence, and large object. It
# casts each row as an anonymous record: the owner of a table can define a cast for its row type, which would run as superuser here.
digest_of() {
	in_database "$1" <<-'SQL'
		SET search_path = ''; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET row_security = off;
		SELECT format($$SELECT %L, count(*), sum(('x' || substr(md5(ROW("a row".*)::text), 1, 15))::bit(60)::bigint) FROM ONLY %s "a row"$$, name, name)
		FROM (SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
				AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')) t
		ORDER BY name COLLATE "C" \gexec
		SELECT format('SELECT %L, last_value, is_called FROM %s', name, name)
		FROM (SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind = 'S') t
		ORDER BY name COLLATE "C" \gexec
		SELECT oid, md5(lo_get(oid)) FROM pg_catalog.pg_largeobject_metadata ORDER BY oid;
	SQL
}

# Prints the names of this server's databases, as JSON.
names_of_databases() { in_database postgres --command='SELECT json_agg(datname ORDER BY datname) FROM pg_database WHERE NOT datistemplate'; }

# lost_with MAJOR: prints the databases of this cluster that the running server lacks, except those that the owner drops.
lost_with() {
	local list=$as_shipped/databases-of-$1 count
	if [[ -s $list ]]; then
		in_database postgres --set=names="$(<"$list")" --set=memory="$(setting NEXUS_PG_DATABASE)" --set=droppable="$(printf '%s\n' "${droppable[@]}")" <<-'SQL'
			SELECT string_agg(quote_ident(name), ', ') FROM json_array_elements_text(:'names') name
			WHERE name NOT IN (SELECT datname FROM pg_database) AND name <> ALL (string_to_array(:'droppable', E'\n'))
		SQL
	else
		# An earlier NEXUS, which recorded no names, did that upgrade. initdb's own databases have numbers below 16384; one more is the memory.
		count=$(find "$(clusters)/$1/docker/base" -mindepth 1 -maxdepth 1 -type d -regex '.*/[0-9]+' | awk -F/ '$NF >= 16384' | wc -l)
		if ((count > 1)) && [[ " ${droppable[*]} " != *' all '* ]]; then printf '%d, whose names only that server knows (to list: --back; to drop: --drop-database all)' $((count - 1)); fi
	fi
}
