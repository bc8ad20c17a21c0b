//! Conditions on rows, in SQL.

use jiff::Timestamp;
use nexus_postgres::quote;

use crate::Types;
use crate::forgetting::Table;

/// Conditions on rows, with tag and agent in clear text. An absent condition matches every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowFilter {
    /// The types.
    pub types: Types,
    /// The time must be before this.
    pub before: Option<Timestamp>,
    /// The time must not be after this. A row without a time matches.
    pub until: Option<Timestamp>,
    /// The row must have this tag.
    pub tag: Option<String>,
    /// The row must be of this agent.
    pub agent: Option<String>,
}

/// Returns the condition for `table` in SQL. It is never NULL.
pub fn matches(rows: &RowFilter, table: &Table) -> String {
    let place = table.place();
    let time = quote::identifier(&place.time);
    let kind = table.kind_text();
    let mut all = Vec::new();
    match &rows.types {
        Types::Any => {}
        Types::Only(one) => all.push(format!("({kind}) = {}", quote::literal(one))),
        Types::Except(none) if none.is_empty() => {}
        Types::Except(others) => {
            let others: Vec<String> = others.iter().map(|other| quote::literal(other)).collect();
            all.push(format!("(({kind}) IS NULL OR ({kind}) NOT IN ({}))", others.join(", ")));
        }
    }
    if let Some(before) = rows.before {
        all.push(format!("{time} < {}", moment(before)));
    }
    if let Some(until) = rows.until {
        // Rows without a time, or with an infinite one, existed at the decision too.
        all.push(format!(
            "({time} IS NULL OR {time} <= {} OR NOT pg_catalog.isfinite({time}))",
            moment(until)
        ));
    }
    if let Some(tag) = &rows.tag {
        all.push(format!("{}::text = ANY ({}::text[])", quote::literal(tag), quote::identifier(&place.tags)));
    }
    if let Some(agent) = &rows.agent {
        all.push(format!("{}::text = {}", quote::identifier(&place.agent), quote::literal(agent)));
    }
    if all.is_empty() { "true".to_owned() } else { format!("coalesce({}, false)", all.join(" AND ")) }
}

/// Returns a moment in SQL, to the microsecond, the resolution of the server's clock.
fn moment(at: Timestamp) -> String {
    let micros = Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
    format!("{}::timestamptz", quote::literal(&micros.to_string()))
}
