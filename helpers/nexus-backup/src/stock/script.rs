//! Writes restore.sh, which restores a set with age, zstd, psql and pg_restore.

use nexus_backup_set::manifest::{Manifest, Table};
use nexus_postgres::quote::{ascii_identifier, ascii_literal};

/// The settings of `manifest::pin_session`, as options for libpq's tools.
const OPTIONS: &str = "-c search_path= -c DateStyle=ISO,YMD -c IntervalStyle=postgres -c TimeZone=UTC \
-c extra_float_digits=3 -c bytea_output=hex -c xmloption=content -c lc_monetary=C -c synchronize_seqscans=off \
-c row_security=off";

/// The first server version with the setting `event_triggers`.
const HAS_EVENT_TRIGGERS: u32 = 170_000;

/// Returns the options for a server version. A trigger on login would run in each session of the script, and could change
/// what it compares, so the options disable event triggers.
fn options(server_version: u32) -> String {
    if server_version < HAS_EVENT_TRIGGERS {
        OPTIONS.to_owned()
    } else {
        format!("{OPTIONS} -c event_triggers=off")
    }
}

/// The placeholder in the statements for the database's name, which is the script's argument.
const PLACEHOLDER: &str = "\u{1}";

/// The schema of NEXUS's own tables. They come first, so that they are restored even if others fail.
const NEXUS_SCHEMA: &str = "nexus_memory";

/// The constant part of the script. `RESTORE.txt` says how to call it.
const FUNCTIONS: &str = include_str!("restore.sh");

/// Returns the text of restore.sh.
pub(crate) fn script(manifest: &Manifest) -> String {
    let properties = &manifest.postgres.properties;
    let mut script = FUNCTIONS.replace("000000", &format!("{:06}", manifest.sequence));
    script.push_str(&format!(
        "export PGCLIENTENCODING={}\nexport PGOPTIONS={}\n",
        quoted(&properties.encoding),
        quoted(&options(manifest.postgres.server_version_num))
    ));
    for path in properties.search_paths() {
        script.push_str(&format!("paths+=({})\n", quoted(&path)));
    }
    for tablespace in properties.tablespaces.iter().flatten() {
        script.push_str(&format!("tablespaces+=({})\n", quoted(&ascii_literal(tablespace))));
    }
    let mut tables: Vec<&Table> = manifest.tables.iter().collect();
    tables.sort_by_key(|table| table.schema != NEXUS_SCHEMA);
    for table in tables {
        script.push_str(&line(table));
    }
    let create = properties.create_statement(PLACEHOLDER);
    script.push_str(&format!(
        "begin {}\n",
        quoted(&create.replace(&format!("\"{PLACEHOLDER}\""), PLACEHOLDER))
    ));
    for statement in properties.finishing_statements(PLACEHOLDER) {
        let statement = statement.replace(&format!("\"{PLACEHOLDER}\""), PLACEHOLDER);
        script.push_str(&format!("admin {}\n", quoted(&statement)));
    }
    script.push_str("end\n");
    script
}

/// Returns the line for a table: its file, qualified name, schema and name as SQL strings, columns, sorted columns, format and
/// digest.
fn line(table: &Table) -> String {
    let mut sorted: Vec<&String> = table.columns.iter().collect();
    sorted.sort();
    let sorted: Vec<String> = sorted.into_iter().map(|column| ascii_identifier(column)).collect();
    format!(
        "table {} {} {} {} {} {} {} {}\n",
        quoted(&table.file),
        quoted(&table.qualified()),
        quoted(&ascii_literal(&table.schema)),
        quoted(&ascii_literal(&table.table)),
        quoted(&table.column_list()),
        quoted(&sorted.join(", ")),
        table.format.as_str(),
        table.sha256
    )
}

/// Quotes `text` as one word for the shell.
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
