//! Rows that are written and taken back: a row of the table with nothing in it but filler. One that lives is changed, so that
//! whatever the table demands of a row is kept; the change is rolled back, so that nobody ever sees it.

use std::collections::BTreeSet;

use nexus_cli::failure::Result;
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;

use super::page::ALPHABET;

/// The longest filler, in bytes: eight pieces outside the table.
const LONGEST: usize = 8 * PIECE;

/// Bytes of a value in one piece outside the table (TOAST_MAX_CHUNK_SIZE).
pub(super) const PIECE: usize = 1996;

/// Bytes by which a length may be short: the header of a long text, and what the columns after it are moved by.
const ROUNDING: usize = 3 + 8;

/// Beside [`ROUNDING`], by which rows of one table may differ without their texts.
const DIFFERENCE: usize = 24;

/// How a row of one table is made filler.
pub(super) struct Filler {
    /// The table, quoted and qualified.
    heap: String,
    /// The column that is filled, quoted.
    column: String,
    /// Columns that are emptied, as assignments, each with a comma before it.
    emptied: String,
    /// The row as it is then, without the filler.
    empty_row: String,
    /// Bytes of such a row.
    pub(super) least: usize,
}

/// A column, as the catalog has it.
struct Column {
    name: String,
    of_type: String,
    can_fill: bool,
    can_empty: bool,
}

impl Filler {
    /// For table `heap`; nothing when it has no column of texts that can be filled, or no row.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn of(control: &Control, heap: &str) -> Result<Option<Self>> {
        let doing = format!("looking at the columns of {heap}");
        // Texts without a length; the best is one that must be there, in no index.
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
                can_empty: row.get(3),
            })
            .collect();
        let Some(column) =
            columns.iter().filter(|column| column.can_fill).min_by_key(|column| column.can_empty)
        else {
            return Ok(None);
        };
        let others = || columns.iter().filter(|other| other.name != column.name);
        let emptied = others().filter(|other| other.can_empty);
        let mut filler = Self {
            heap: heap.to_owned(),
            column: column.name.clone(),
            emptied: emptied.fold(String::new(), |text, other| text + ", " + &other.name + " = NULL"),
            empty_row: String::new(),
            least: 0,
        };
        let values = columns.iter().map(|each| match each {
            each if each.name == column.name => format!("''::{}", each.of_type),
            each if each.can_empty => format!("NULL::{}", each.of_type),
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

    /// Statements that write filler and take it back. For each of `pages`, one of the rows there is changed once for each
    /// length, so that it takes up so many bytes: of the page, or, if `outside`, of the pieces outside the table.
    pub(super) fn statements(
        &self,
        pages: &[(Vec<String>, Vec<usize>)],
        text: &str,
        outside: bool,
    ) -> String {
        let Self { heap, column, emptied, empty_row, .. } = self;
        let rows = pages.iter().map(|(rows, lengths)| {
            let lengths: Vec<String> = lengths.iter().map(ToString::to_string).collect();
            format!("('{{{}}}'::tid[], '{{{}}}'::integer[])", rows.join(","), lengths.join(","))
        });
        let length =
            if outside { "len".to_owned() } else { format!("greatest(len - least - {ROUNDING}, 0)") };
        format!(
            "BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL lock_timeout = '200ms'; \
             DO $nexus$ DECLARE page record; place tid; least integer; len integer; filler text := {filler}; BEGIN \
             FOR page IN SELECT * FROM (VALUES {rows}) v (of_page, lengths) LOOP \
               SELECT ctid, pg_catalog.pg_column_size({empty_row}) INTO place, least FROM ONLY {heap} \
                 WHERE ctid = ANY (page.of_page) LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED; \
               CONTINUE WHEN place IS NULL; \
               FOREACH len IN ARRAY page.lengths LOOP \
                 UPDATE ONLY {heap} SET {column} = pg_catalog.left(filler, {length}){emptied} \
                   WHERE ctid = place RETURNING ctid INTO place; \
               END LOOP; END LOOP; END $nexus$; ROLLBACK",
            filler = quote::literal(text),
            rows = rows.collect::<Vec<_>>().join(", ")
        )
    }
}

/// A text of [`LONGEST`] bytes that no server can make shorter: no four characters are in it twice.
pub(super) fn text() -> String {
    let mut text = String::with_capacity(LONGEST);
    let (mut seen, mut state) = (BTreeSet::new(), 1_u32);
    while text.len() < LONGEST {
        // Numerical Recipes' generator: its high bits are good enough, and it is the same everywhere.
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
    fn no_four_characters_are_in_the_text_twice() {
        let text = text();
        let fours: BTreeSet<&[u8]> = text.as_bytes().windows(4).collect();
        assert_eq!((text.len(), fours.len()), (LONGEST, LONGEST - 3));
    }
}
