//! The script that restores a set with age, zstd, psql and pg_restore.

use nexus_core::set::DATABASE;
use nexus_core::set::manifest::{Manifest, Table};

/// The same settings as `manifest::pin_session`, as libpq's tools take them.
const PINNED: &str = "-c search_path= -c DateStyle=ISO,YMD -c IntervalStyle=postgres -c TimeZone=UTC \
-c extra_float_digits=3 -c bytea_output=hex -c xmloption=content -c lc_monetary=C -c synchronize_seqscans=off \
-c row_security=off";

/// The first server version with the setting `event_triggers`.
const HAS_EVENT_TRIGGERS: u32 = 170_000;

/// A trigger on login would run for each session of the script and could change what it compares.
fn pinned(server_version: u32) -> String {
    if server_version < HAS_EVENT_TRIGGERS {
        PINNED.to_owned()
    } else {
        format!("{PINNED} -c event_triggers=off")
    }
}

/// Stands in the statements for the name that the person gives.
const NAME: &str = "\u{1}";

/// The script's text.
pub(crate) fn script(manifest: &Manifest) -> String {
    let properties = &manifest.postgres.properties;
    let mut script = format!(
        r#"#!/usr/bin/env bash
# Restores NEXUS backup set {sequence:06} with age, zstd, psql and pg_restore.
# In the set's directory: bash restore.sh IDENTITY_FILE NEW_DATABASE
set -euo pipefail
identity=$1 database=$2
quoted='"'${{database//\"/\"\"}}'"'
plain() {{ age -d -i "$identity" "$1" | zstd -dc; }}
admin() {{ psql -X -q -v ON_ERROR_STOP=1 -d postgres -c "${{1//$'\001'/"$quoted"}}"; }}
section() {{
  echo "restoring $1"
  # pg_restore may stop reading before the archive's end; the rest is read away, so that age checks all of it.
  plain {DATABASE} | {{ pg_restore --exit-on-error --section="$1" -d "$database" && cat >/dev/null; }}
}}
load() {{
  echo "loading $2"
  plain "$1" | psql -X -q -v ON_ERROR_STOP=1 -d "$database" -c BEGIN -c "TRUNCATE ONLY $2" -c "$3" -c COMMIT
}}
compare() {{
  local digest
  digest=$(psql -X -q -v ON_ERROR_STOP=1 -d "$database" -c "$2" | sha256sum)
  if [ "${{digest%% *}}" = "$3" ]; then echo "equal: $1"; else echo "DIFFERENT: $1"; different=1; fi
}}
export PGCLIENTENCODING={encoding}
export PGOPTIONS={pinned}
admin {create}
section pre-data
"#,
        sequence = manifest.sequence,
        encoding = quoted(&properties.encoding),
        pinned = quoted(&pinned(manifest.postgres.server_version_num)),
        create = quoted(&properties.create_statement(NAME).replace(&format!("\"{NAME}\""), NAME)),
    );
    for table in &manifest.tables {
        script.push_str(&load(table));
    }
    script.push_str("section data\nsection post-data\n");
    for statement in properties.finishing_statements(NAME) {
        let statement = statement.replace(&format!("\"{NAME}\""), NAME);
        script.push_str(&format!("admin {}\n", quoted(&statement)));
    }
    script.push_str("different=0\n");
    for table in &manifest.tables {
        script.push_str(&compare(table));
    }
    script.push_str(&format!(
        "[ $different = 0 ] || {{ echo \"some tables differ from the backup\"; exit 1; }}\n\
         echo \"restored: {} tables, every one equal to the backup\"\n",
        manifest.tables.len()
    ));
    script
}

fn load(table: &Table) -> String {
    // FREEZE with TRUNCATE in one transaction also keeps the rows in the stream's order.
    format!("load {} {} {}\n", quoted(&table.file), quoted(&table.qualified()), quoted(&table.copy_in()))
}

fn compare(table: &Table) -> String {
    format!("compare {} {} {}\n", quoted(&table.qualified()), quoted(&table.copy_out()), table.sha256)
}

/// A word for the shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word_for_the_shell() {
        assert_eq!(quoted("it's $(rm) `x` \n"), "'it'\\''s $(rm) `x` \n'");
    }
}
