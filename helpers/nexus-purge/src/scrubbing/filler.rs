//! Filler rows: updates an existing row to hold filler, and rolls the update back. The row keeps its key and other required
//! values, so the table accepts it. No other session ever sees it.

use std::collections::BTreeSet;

use nexus_cli::failure::Result;
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;

use super::page::ALPHABET;

/// The longest filler, in bytes: eight chunks of TOAST.
const LONGEST: usize = 8 * CHUNK;

/// The bytes of a value in one chunk of TOAST (TOAST_MAX_CHUNK_SIZE).
pub(super) const CHUNK: usize = 1996;

/// The bytes by which a row may be longer than computed: the header of a long text, and the alignment of the columns after it.
const ROUNDING: usize = 3 + 8;

/// The bytes, besides [`ROUNDING`], by which the rows of one table may differ without their texts.
const DIFFERENCE: usize = 24;

/// How to turn a row of one table into filler.
pub(super) struct Filler {
    /// The table, quoted and qualified.
    heap: String,
    /// The column for the filler, quoted.
    column: String,
    /// Assignments that set other columns to NULL, each after a comma.
    nulls: String,
    /// The expression for a filler row without filler.
    empty_row: String,
    /// An upper estimate of the bytes of that row.
    pub(super) least: usize,
}

/// A column of the table.
struct Column {
    name: String,
    of_type: String,
    can_fill: bool,
    can_be_null: bool,
}

impl Filler {
    /// Returns the filler for table `heap`; `None` if it has no row, or no text column that can hold filler.
    pub(super) fn of(control: &Control, heap: &str) -> Result<Option<Self>> {
        let doing = format!("reading the columns of {heap}");
        // A text column without a maximal length, in no index; best if it is NOT NULL.
        let sql = format!(
            "SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), \
             a.atttypid IN ('text'::regtype, 'varchar'::regtype) AND a.atttypmod = -1 AND a.attstorage IN ('x', 'e') \
               AND a.attgenerated = '' AND u.is_indexed IS NULL, \
             a.attlen = -1 AND NOT a.attnotnull AND a.attgenerated = '' AND a.attidentity = '' \
             FROM pg_catalog.pg_attribute a \
             LEFT JOIN LATERAL (SELECT true AS is_indexed FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid \
               AND a.attnum = ANY (i.indkey) LIMIT 1) u ON true \
             WHERE a.attrelid = {}::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            quote::literal(heap)
        );
        let columns: Vec<Column> = control
            .rows(&doing, &sql, &[])?
            .iter()
            .map(|row| Column {
                name: quote::identifier(row.get(0)),
                of_type: row.get(1),
                can_fill: row.get(2),
                can_be_null: row.get(3),
            })
            .collect();
        let Some(column) =
            columns.iter().filter(|column| column.can_fill).min_by_key(|column| column.can_be_null)
        else {
            return Ok(None);
        };
        let others = || columns.iter().filter(|other| other.name != column.name);
        let nullable = others().filter(|other| other.can_be_null);
        let mut filler = Self {
            heap: heap.to_owned(),
            column: column.name.clone(),
            nulls: nullable.fold(String::new(), |text, other| text + ", " + &other.name + " = NULL"),
            empty_row: String::new(),
            least: 0,
        };
        let values = columns.iter().map(|each| match each {
            each if each.name == column.name => format!("''::{}", each.of_type),
            each if each.can_be_null => format!("NULL::{}", each.of_type),
            each => each.name.clone(),
        });
        filler.empty_row = format!("ROW({})", values.collect::<Vec<_>>().join(", "));
        let least = format!(
            "SELECT max(pg_catalog.pg_column_size({})) FROM (SELECT * FROM ONLY {heap} LIMIT 100) sample",
            filler.empty_row
        );
        let Some(least) = control.row(&doing, &least, &[])?.get::<_, Option<i32>>(0) else { return Ok(None) };
        filler.least = usize::try_from(least).unwrap_or(0) + ROUNDING + DIFFERENCE;
        Ok(Some(filler))
    }

    /// Returns statements that write filler and roll it back. For each of `pages`, they update one of its rows once for each
    /// length in bytes: the length of the row, or, if `is_toast`, of the filler.
    pub(super) fn statements(
        &self,
        pages: &[(Vec<String>, Vec<usize>)],
        text: &str,
        is_toast: bool,
    ) -> String {
        let Self { heap, column, nulls, empty_row, .. } = self;
        let rows = pages.iter().map(|(rows, lengths)| {
            let lengths: Vec<String> = lengths.iter().map(ToString::to_string).collect();
            format!("('{{{}}}'::tid[], '{{{}}}'::integer[])", rows.join(","), lengths.join(","))
        });
        let length =
            if is_toast { "len".to_owned() } else { format!("greatest(len - least - {ROUNDING}, 0)") };
        format!(
            "BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL lock_timeout = '200ms'; \
             DO $nexus$ DECLARE page record; place tid; least integer; len integer; filler text := {filler}; BEGIN \
             FOR page IN SELECT * FROM (VALUES {rows}) v (of_page, lengths) LOOP \
               SELECT ctid, pg_catalog.pg_column_size({empty_row}) INTO place, least FROM ONLY {heap} \
                 WHERE ctid = ANY (page.of_page) LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED; \
               CONTINUE WHEN place IS NULL; \
               FOREACH len IN ARRAY page.lengths LOOP \
                 UPDATE ONLY {heap} SET {column} = pg_catalog.left(filler, {length}){nulls} \
                   WHERE ctid = place RETURNING ctid INTO place; \
               END LOOP; END LOOP; END $nexus$; ROLLBACK",
            filler = quote::literal(text),
            rows = rows.collect::<Vec<_>>().join(", ")
        )
    }
}

/// Returns a text of [`LONGEST`] bytes that no server can compress: it contains no four characters twice.
pub(super) fn text() -> String {
    let mut text = String::with_capacity(LONGEST);
    let (mut seen, mut state) = (BTreeSet::new(), 1_u32);
    while text.len() < LONGEST {
        // The generator of Numerical Recipes: its high bits are good enough, and it gives the same text everywhere.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let letter = ALPHABET[(state >> 16) as usize % ALPHABET.len()];
        let mut four: Vec<u8> = text.as_bytes()[text.len().saturating_sub(3)..].to_vec();
        four.push(letter);
        if four.len() < 4 || seen.insert(four) {
            text.push(char::from(letter));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_contains_no_four_characters_twice() {
        let text = text();
        let fours: BTreeSet<&[u8]> = text.as_bytes().windows(4).collect();
        assert_eq!((text.len(), fours.len()), (LONGEST, LONGEST - 3));
    }
}
