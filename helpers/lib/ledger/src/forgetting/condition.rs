//! Which rows are meant, in SQL.

use jiff::Timestamp;
use nexus_postgres::quote;

use crate::Types;
use crate::forgetting::Table;

/// Rows by what they are, with tag and agent in the clear. What is not said applies to every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowFilter {
    /// Of these types.
    pub types: Types,
    /// Whose time is before this.
    pub before: Option<Timestamp>,
    /// Whose time is not after this, or that have none.
    pub until: Option<Timestamp>,
    /// With this tag.
    pub tag: Option<String>,
    /// Of this agent.
    pub agent: Option<String>,
}

/// A condition on a row of `table` that is never NULL.
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
        // What has no time of its own, or one that never comes, was there too.
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

/// A moment, to the microsecond, which is as fine as the server's clock.
fn moment(at: Timestamp) -> String {
    let micros = Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
    format!("{}::timestamptz", quote::literal(&micros.to_string()))
}
