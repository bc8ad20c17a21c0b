#!/usr/bin/env bash
# Restores NEXUS backup set 000000 with age, zstd, psql and pg_restore.
# In the set's directory: bash restore.sh IDENTITY_FILE NEW_DATABASE
# It names what it cannot restore, and restores and compares the rest; then the exit status is 1.
set -euo pipefail
identity=$1 database=$2
quoted='"'${database//\"/\"\"}'"'
# For each table: its file, qualified name, schema and name as SQL strings, columns, sorted columns, format and digest.
files=() names=() schemas=() tables=() columns=() sorted=() formats=() digests=()
# The search_paths of the database's sessions, its tablespaces, and options for pg_restore.
paths=() tablespaces=() places=()
# Tables to load again, and tables given up.
refused=() lost=()
# Partition roots that rows were loaded through; for each table, its index in them; for each table, its root.
roots=() root_of=() known=()
# For each root, the loaded rows and their hashes, as sums in SQL.
counts=() sums=()
incomplete=0 path=

table() {
  files+=("$1") names+=("$2") schemas+=("$3") tables+=("$4") columns+=("$5") sorted+=("$6") formats+=("$7") digests+=("$8")
}
plain() { age -d -i "$identity" "$1" | zstd -dc; }
admin() { psql -X -q -v ON_ERROR_STOP=1 -d postgres -c "${1//$'\001'/"$quoted"}"; }
sql() { psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$database" "$@"; }
section() {
  echo "restoring $1"
  # pg_restore may stop reading before the archive's end. cat reads the rest, so that age checks all of it.
  plain database.dump.zst.age | { pg_restore "${@:2}" ${places[@]+"${places[@]}"} --section="$1" -d "$database" && cat >/dev/null; }
}
missing_tablespaces() {
  local name
  for name in ${tablespaces[@]+"${tablespaces[@]}"}; do
    psql -X -A -t -q -d postgres -c "SELECT $name WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_tablespace WHERE spcname = $name)"
  done
}

# Loads the rows of a table, in their order in the backup.
load() {
  echo "loading ${names[$1]}${path:+ with search_path $path}"
  # FREEZE with TRUNCATE in one transaction keeps the rows in the stream's order.
  plain "${files[$1]}" | sql ${path:+-c "SET search_path TO $path"} -c BEGIN -c "TRUNCATE ONLY ${names[$1]}" \
    -c "COPY ${names[$1]}${columns[$1]} FROM STDIN (FORMAT ${formats[$1]}, FREEZE)" -c COMMIT
}
# Prints SQL for the number of rows in $2 and the sum of their hashes, over the sorted columns of table $1.
measure() { echo "SELECT count(*), coalesce(sum(pg_catalog.hashtextextended(ROW(${sorted[$1]})::pg_catalog.text, 0)::pg_catalog.numeric), 0) FROM $2"; }
# Sets `root` to the root of partition $1, or to nothing if the table is not a partition.
find_root() {
  [ -n "${known[$1]+known}" ] || known[$1]=$(sql -c "SELECT pg_catalog.pg_partition_root(c.oid)::pg_catalog.regclass FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ${schemas[$1]} AND c.relname = ${tables[$1]}")
  root=${known[$1]}
}
# Loads the rows of a partition through root number $2: on this server they may belong in another partition.
load_through() {
  local i=$1 root=${roots[$2]} digest measured
  echo "loading ${names[i]} through $root${path:+ with search_path $path}"
  digest=$(plain "${files[i]}" | sha256sum)
  [ "${digest%% *}" = "${digests[i]}" ] || { echo "DIFFERENT: ${files[i]}"; return 1; }
  measured=$(plain "${files[i]}" | sql ${path:+-c "SET search_path TO $path"} -c BEGIN \
    -c "CREATE TEMPORARY TABLE nexus_rows ON COMMIT DROP AS SELECT ${sorted[i]} FROM ${names[i]} WITH NO DATA" \
    -c "COPY pg_temp.nexus_rows${columns[i]} FROM STDIN (FORMAT ${formats[i]})" \
    -c "INSERT INTO $root (${sorted[i]}) SELECT ${sorted[i]} FROM pg_temp.nexus_rows" -c "$(measure "$i" pg_temp.nexus_rows)" -c COMMIT) || return 1
  counts[$2]+=" + ${measured%|*}" sums[$2]+=" + ${measured#*|}"
}
# Loads all partitions of the root that table $1 is a partition of.
load_tree() {
  local i number=${#roots[@]} root of_tree
  find_root "$1"
  of_tree=$root
  [ -n "$root" ] && sql -c "TRUNCATE $root" || return 1
  roots+=("$root") counts+=('0::numeric') sums+=('0::numeric')
  for i in "${!files[@]}"; do
    find_root "$i"
    [ "$root" = "$of_tree" ] || continue
    root_of[i]=$number
    path=
    load_through "$i" "$number" && continue
    for path in "${paths[@]}"; do load_through "$i" "$number" && continue 2; done
    lost+=("$i")
  done
}
# Tries the refused tables again, now that the others are loaded: as they are, with each search_path, then through the root.
load_again() {
  local i left=()
  for i in "${refused[@]}"; do
    [ -z "${root_of[i]-}" ] || continue
    path=
    load "$i" && continue
    for path in "${paths[@]}"; do load "$i" && continue 2; done
    load_tree "$i" || left+=("$i")
  done
  path='' refused=(${left[@]+"${left[@]}"})
}

compare() {
  local digest
  digest=$(sql -c "COPY ${names[$1]}${columns[$1]} TO STDOUT (FORMAT ${formats[$1]})" | sha256sum)
  if [ "${digest%% *}" = "${digests[$1]}" ]; then echo "equal: ${names[$1]}"; else echo "DIFFERENT: ${names[$1]}" && incomplete=1; fi
}
compare_tree() {
  local i
  for i in "${!root_of[@]}"; do
    [ "${root_of[i]}" = "$1" ] || continue
    if [ "$(sql -c "SELECT m.rows = ${counts[$1]} AND m.hash = ${sums[$1]} FROM ($(measure "$i" "${roots[$1]}")) m(rows, hash)")" = t ]; then
      echo "equal: ${roots[$1]}, all partitions together"
    else
      echo "DIFFERENT: ${roots[$1]}" && incomplete=1
    fi
    return
  done
}

begin() {
  local i missing count=-1
  missing=$(missing_tablespaces)
  if [ -n "$missing" ]; then
    echo "this server has no tablespace ${missing//$'\n'/, }: all tables and indexes are where the database is"
    places=(--no-tablespaces)
  fi
  admin "$1"
  section pre-data --exit-on-error
  for i in "${!files[@]}"; do load "$i" || refused+=("$i"); done
  while ((${#refused[@]} > 0 && ${#refused[@]} != count)); do
    count=${#refused[@]}
    load_again
  done
  section data --exit-on-error
  # A failure here (rows that violate an index or a constraint) does not stop the rest of the section.
  section post-data || { echo "NOT RESTORED: what pg_restore names above" && incomplete=1; }
}
end() {
  local i
  for i in "${!files[@]}"; do
    if [[ " ${refused[*]-} ${lost[*]-} " == *" $i "* ]]; then
      echo "NOT RESTORED: the rows of ${names[i]}" && incomplete=1
    elif [ -z "${root_of[i]-}" ]; then
      compare "$i"
    fi
  done
  for i in "${!roots[@]}"; do compare_tree "$i"; done
  ((incomplete == 0)) || { echo "restored, but not all of it: see NOT RESTORED and DIFFERENT above"; exit 1; }
  echo "restored: ${#files[@]} tables, every one equal to the backup"
}

