# Tests with schemas of other projects, fetched from Debian's archive: PostgreSQL's source with its regression tests, and packages that
# contain a schema for PostgreSQL. This repository has none of them.
# shellcheck shell=bash disable=SC2154 # what one part sets, another reads

# Each package, and the file in it that creates the schema.
packaged_schemas=(
	ejabberd=usr/share/ejabberd/sql/pg.sql
	freeradius-config=etc/freeradius/3.0/mods-config/sql/main/postgresql/schema.sql
	icingadb=usr/share/icingadb/schema/pgsql/schema.sql
	kea-admin=usr/share/kea/scripts/pgsql/dhcpdb_create.pgsql
	pdns-backend-pgsql=usr/share/pdns-backend-pgsql/schema/schema.pgsql.sql
	roundcube-core=usr/share/roundcube/SQL/postgres.initial.sql
	zabbix-server-pgsql=usr/share/zabbix-server-pgsql/schema.sql.gz
)

# fetch_schemas MIRROR DIR: writes PROJECT/1.sql for each package, and regress/.
fetch_schemas() {
	local apt line name
	apt=$(mktemp -d)
	apt_sources_in "$apt" "deb [signed-by=$debian_key] $1 bookworm main" "deb-src [signed-by=$debian_key] $1 forky main"
	for line in "${packaged_schemas[@]}"; do
		name=${line%%=*}
		(cd "$apt" && apt_elsewhere "$apt" download "$name")
		install -d "$2/$name"
		dpkg-deb --fsys-tarfile "$apt/$name"_*.deb | tar --extract --to-stdout "./${line#*=}" | if [[ $line == *.gz ]]; then gzip --decompress; else cat; fi >"$2/$name/1.sql"
	done
	(cd "$apt" && apt_elsewhere "$apt" source --download-only postgresql-18)
	install -d "$apt/source"
	tar --extract --file="$(echo "$apt"/postgresql-18_*.orig.tar.*)" --directory="$apt/source" --strip-components=1 --wildcards '*/src/test/regress/sql' '*/src/test/regress/data' '*/src/test/regress/parallel_schedule'
	mv "$apt/source/src/test/regress" "$2/regress"
	rm -rf "$apt"
}

part_schemas() {
	local fetched
	need dpkg-dev=dpkg-source
	fetched=$(mktemp -d)
	fetch_schemas "$(mirror_of_debian)" "$fetched"
	installed
	"$machine" copy "$installed_machine" "$fetched" /root/schemas
	rm -rf "$fetched"
	in_machine live/schemas.sh /root/schemas
}
