//! The table of the rows to forget, as found in a database.

use std::fmt;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;

use crate::TableColumns;
use crate::forgetting::code_of_others::{
    CodeOfOthers, owned_by_another, refuse, schema_of_another, type_of_another,
};

/// A table and its columns, found in a database.
#[derive(Clone, Debug)]
pub struct Table {
    place: TableColumns,
    oid: u32,
    key_type: String,
    columns: Vec<String>,
    heaps: Vec<Heap>,
    code_of_others: CodeOfOthers,
}

/// A part of the table that has pages: the table itself, or one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heap {
    /// The name, quoted and qualified.
    pub name: String,
    /// The number of pages of [`Heap::PAGE`] bytes.
    pub pages: u32,
}

impl Heap {
    /// The usual size of a page in bytes. A server may be built with another one.
    pub const PAGE: u64 = 8192;
}

/// Parses `schema.table`.
///
/// # Errors
/// The cause.
pub fn parse_table(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('.') {
        Some((schema, table)) if !schema.is_empty() && !table.is_empty() => {
            Ok((schema.to_owned(), table.to_owned()))
        }
        _ => Err("not a table; expected schema.table, without quotes".to_owned()),
    }
}

/// Parses `column` or `column->>member` into column and member. The member may have single quotes.
///
/// # Errors
/// The cause.
pub fn parse_kind(text: &str) -> std::result::Result<(String, Option<String>), String> {
    let (column, member) = match text.split_once("->>") {
        None => (text.trim(), None),
        Some((column, member)) => (column.trim(), Some(member.trim().trim_matches('\''))),
    };
    if column.is_empty() || member == Some("") || column.contains(['\'', '"', '(', ' ']) {
        return Err("not a column; expected column, or column->>member for a JSON column".to_owned());
    }
    Ok((column.to_owned(), member.map(str::to_owned)))
}

impl Table {
    /// Looks for the table; `None` if the database does not have it.
    ///
    /// # Errors
    /// Settings (78) when a required column is missing, the key is not unique, or the table, its
    /// schema or the type of a column belongs to a role whose code is refused; Data (65) when something
    /// in the table could run such code; errors of the server.
    pub fn find(
        session: &Control,
        place: &TableColumns,
        code_of_others: CodeOfOthers,
    ) -> Result<Option<Self>> {
        let doing = format!("looking at table {}.{}", place.schema, place.table);
        let found = session.rows(
            &doing,
            &format!(
                "SELECT c.oid, ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a \
                   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum), \
                 (SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a \
                   WHERE a.attrelid = c.oid AND a.attname = {key}), \
                 EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a \
                   ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE i.indrelid = c.oid AND i.indisunique \
                   AND i.indpred IS NULL AND i.indnkeyatts = 1 AND a.attname = {key}), \
                 coalesce({owned}, {schema_owned}, {types}) \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = {schema} AND c.relname = {table} AND c.relkind IN ('r', 'p')",
                key = quote::literal(&place.key),
                schema = quote::literal(&place.schema),
                table = quote::literal(&place.table),
                owned = owned_by_another("c.oid"),
                schema_owned = schema_of_another("c.oid"),
                types = type_of_another("c.oid"),
            ),
            &[],
        )?;
        let Some(row) = found.first() else { return Ok(None) };
        let columns: Vec<String> = row.get(1);
        let wrong = |why: String| {
            Failure::new(Exit::Settings, doing.clone()).because(why).advise(
                "Set NEXUS_PURGE_KEY and NEXUS_PURGE_TIME in /etc/nexus/nexus.env to columns of that table",
            )
        };
        for column in [&place.key, &place.time] {
            if !columns.contains(column) {
                return Err(wrong(format!("it has no column {column}")));
            }
        }
        if !row.get::<_, bool>(3) {
            return Err(wrong(format!("column {} has no unique index of its own", place.key)));
        }
        let others: Option<String> = row.get(4);
        if let (CodeOfOthers::Refused, Some(others)) = (code_of_others, others) {
            return Err(Failure::new(Exit::Settings, doing)
                .because(format!("another role could have its code run as a superuser there: {others}"))
                .advise(
                    "If you trust it, give it to a superuser (ALTER TABLE, ALTER TYPE or ALTER SCHEMA … OWNER TO)",
                ));
        }
        let oid = row.get(0);
        let table = Self {
            place: place.clone(),
            oid,
            key_type: row.get(2),
            columns,
            heaps: heaps(session, oid, &doing)?,
            code_of_others,
        };
        if code_of_others == CodeOfOthers::Refused {
            refuse(session, &table)?;
        }
        Ok(Some(table))
    }

    /// Returns the names of the table and its columns.
    pub fn place(&self) -> &TableColumns {
        &self.place
    }

    /// Returns the OID.
    pub fn oid(&self) -> u32 {
        self.oid
    }

    /// The name, quoted and qualified.
    pub fn qualified(&self) -> String {
        quote::qualified(&self.place.schema, &self.place.table)
    }

    /// Returns how to treat code of other roles.
    pub(super) fn code_of_others(&self) -> CodeOfOthers {
        self.code_of_others
    }

    /// Returns the parts that have pages.
    pub fn heaps(&self) -> &[Heap] {
        &self.heaps
    }

    /// Returns the size of all parts in bytes.
    pub fn bytes(&self) -> u64 {
        self.heaps.iter().map(|heap| u64::from(heap.pages) * Heap::PAGE).sum()
    }

    /// Returns whether the table has a column with this name.
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|known| known == column)
    }

    /// SQL for the key of a row as text.
    pub fn key_text(&self) -> String {
        format!("{}::text", quote::identifier(&self.place.key))
    }

    /// SQL for an array of keys of the key's type.
    pub fn key_array<S: AsRef<str>>(&self, keys: &[S]) -> String {
        let texts: Vec<String> = keys.iter().map(|key| quote::literal(key.as_ref())).collect();
        format!("ARRAY[{}]::text[]::{}[]", texts.join(", "), self.key_type)
    }

    /// SQL for whether a row has this key and belongs to this agent.
    pub fn is_of(&self, key: &str, agent: &str) -> String {
        format!(
            "{} = ANY ({}) AND {}::text = {}",
            quote::identifier(&self.place.key),
            self.key_array(&[key]),
            quote::identifier(&self.place.agent),
            quote::literal(agent)
        )
    }

    /// SQL for a text in the canonical form of the key's type; the server rejects an invalid one.
    pub fn key_normal(&self, text: &str) -> String {
        format!("{}::text::{}::text", quote::literal(text), self.key_type)
    }

    /// SQL for the type of a row as text; NULL if the row has none, or the table lacks the column.
    pub fn kind_text(&self) -> String {
        match parse_kind(&self.place.kind) {
            Ok((column, Some(member))) if self.has(&column) => {
                format!("{} OPERATOR(pg_catalog.->>) {}", quote::identifier(&column), quote::literal(&member))
            }
            Ok((column, None)) if self.has(&column) => format!("{}::text", quote::identifier(&column)),
            _ => "NULL::text".to_owned(),
        }
    }

    /// SQL for the bytes that a row takes as stored, without decompression. The header and the line
    /// pointer take 28.
    pub fn row_bytes(&self) -> String {
        let sizes: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("coalesce(pg_catalog.pg_column_size({}), 0)", quote::identifier(column)))
            .collect();
        format!("(28 + {})::bigint", sizes.join(" + "))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.place.schema, self.place.table)
    }
}

fn heaps(session: &Control, oid: u32, doing: &str) -> Result<Vec<Heap>> {
    let rows = session.rows(
        doing,
        &format!(
            "SELECT n.nspname::text, c.relname::text, \
             pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint \
             FROM (SELECT {oid}::oid AS relid UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree({oid})) t \
             JOIN pg_catalog.pg_class c ON c.oid = t.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' ORDER BY 1, 2"
        ),
        &[],
    )?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            // NULL if the partition was dropped in the meantime.
            let pages: i64 = row.get::<_, Option<_>>(2)?;
            let name = quote::qualified(row.get(0), row.get(1));
            Some(Heap { name, pages: u32::try_from(pages).unwrap_or(u32::MAX) })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_a_column_or_a_member_of_one() {
        let member = Ok(("metadata".to_owned(), Some("action_type".to_owned())));
        assert_eq!(parse_kind("metadata->>action_type"), member);
        assert_eq!(parse_kind("metadata ->> 'action_type'"), member);
        assert_eq!(parse_kind("kind"), Ok(("kind".to_owned(), None)));
        for wrong in ["", "->>x", "m->>", "lower(kind)", "a b"] {
            assert!(parse_kind(wrong).is_err(), "{wrong}");
        }
        assert!(parse_table("nexus_memory.episode").is_ok());
        assert!(parse_table("episode").is_err() && parse_table(".x").is_err());
    }
}
