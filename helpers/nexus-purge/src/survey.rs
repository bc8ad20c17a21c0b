//! Counts what would be forgotten: by type the rows, their age and size, and their share of the table.

use jiff::Timestamp;
use nexus_cli::failure::Result;
use nexus_cli::progress::human_bytes;
use nexus_cli::text::{columns, counted, grouped};
use nexus_ledger::forgetting::Table;
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;
use serde::Serialize;

use crate::selection::Selection;

/// The most types to distinguish: a column with more values holds no types.
const MOST_TYPES: usize = 10_000;

/// What would be forgotten.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Survey {
    /// The selected rows by selection and type, the most rows first.
    #[serde(rename = "goes")]
    pub(crate) groups: Vec<Group>,
    /// The selected rows.
    pub(crate) rows: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// All rows of the table.
    pub(crate) of: u64,
    /// All types in the table.
    #[serde(skip)]
    pub(crate) kinds: Vec<String>,
    /// The rows of each selection.
    #[serde(skip)]
    pub(crate) by_selection: Vec<u64>,
}

/// The selected rows of one type.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Group {
    #[serde(rename = "type")]
    kind: Option<String>,
    rows: u64,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
    bytes: u64,
    by: String,
}

/// Counts the rows of the selections, in one scan of the table.
pub(crate) fn survey(control: &Control, table: &Table, selections: &[Selection]) -> Result<Survey> {
    let whens: Vec<String> = selections
        .iter()
        .enumerate()
        .map(|(number, selection)| format!("WHEN {} THEN {number}", selection.condition))
        .collect();
    let which =
        if whens.is_empty() { "NULL::integer".to_owned() } else { format!("CASE {} END", whens.join(" ")) };
    let time = quote::identifier(&table.place().time);
    let moment = |function: &str| {
        format!(
            "(extract(epoch FROM {function}(at) FILTER (WHERE which IS NOT NULL AND pg_catalog.isfinite(at))) * 1000000)::bigint"
        )
    };
    let sql = format!(
        "SELECT kind, which, count(*), {}, {}, coalesce(sum(bytes) FILTER (WHERE which IS NOT NULL), 0)::bigint \
         FROM (SELECT {} AS kind, {time} AS at, {which} AS which, {} AS bytes FROM {}) rows \
         GROUP BY kind, which ORDER BY which NULLS LAST, count(*) DESC LIMIT {MOST_TYPES}",
        moment("min"),
        moment("max"),
        table.kind_text(),
        table.row_bytes(),
        table.qualified()
    );
    let mut survey = Survey { by_selection: vec![0; selections.len()], ..Survey::default() };
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    for row in control.rows("counting the selected rows", &sql, &[])? {
        let kind: Option<String> = row.get(0);
        let rows = number(row.get(2));
        survey.of += rows;
        survey.kinds.extend(kind.clone());
        let Some(selection) = row.get::<_, Option<i32>>(1).and_then(|which| usize::try_from(which).ok())
        else {
            continue;
        };
        let at =
            |column| row.get::<_, Option<i64>>(column).and_then(|at| Timestamp::from_microsecond(at).ok());
        let bytes = number(row.get(5));
        survey.rows += rows;
        survey.bytes += bytes;
        survey.by_selection[selection] += rows;
        survey.groups.push(Group {
            kind,
            rows,
            oldest: at(3),
            newest: at(4),
            bytes,
            by: selections[selection].by.clone(),
        });
    }
    survey.kinds.sort();
    survey.kinds.dedup();
    Ok(survey)
}

impl Survey {
    /// Returns the selected share of the table in percent, rounded up.
    pub(crate) fn share(&self) -> u64 {
        (self.rows * 100).div_ceil(self.of.max(1))
    }

    /// Formats the survey for a person.
    pub(crate) fn to_text(&self) -> String {
        if self.rows == 0 {
            return format!("Nothing would be forgotten; the table has {}.\n", counted(self.of, "row"));
        }
        let mut lines =
            vec![["type", "rows", "oldest", "newest", "size", "reason"].map(str::to_owned).to_vec()];
        for group in &self.groups {
            lines.push(vec![
                group.kind.clone().unwrap_or_else(|| "(none)".to_owned()),
                grouped(group.rows),
                day(group.oldest),
                day(group.newest),
                human_bytes(group.bytes),
                group.by.clone(),
            ]);
        }
        lines.push(vec![
            "total".to_owned(),
            grouped(self.rows),
            String::new(),
            String::new(),
            human_bytes(self.bytes),
        ]);
        let of = counted(self.of, "row");
        format!("{}{} % of {of} would be forgotten.\n", columns(&lines), self.share())
    }
}

/// Formats a date: `2026-11-22`.
fn day(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string())
}
