//! Parts of a set that the server refuses, and the advice to restore the rest.

use nexus_backup_set::manifest::Table;
use nexus_cli::failure::{Exit, Failure};
use nexus_cli::text::printable;

use crate::Restoring;
use crate::tree::Branches;

/// The most names in one line.
const NAMED: usize = 8;

/// Rows that the server has refused.
pub(super) struct Refused<'t> {
    pub(super) rows: Rows<'t>,
    pub(super) failure: Failure,
}

/// Rows that are loaded together.
pub(super) enum Rows<'t> {
    /// The rows of a table.
    Table(&'t Table),
    /// The rows of all partitions of a table, through that table.
    Tree(Branches<'t>),
}

impl<'t> Refused<'t> {
    pub(super) fn table(table: &'t Table, failure: Failure) -> Self {
        Self { rows: Rows::Table(table), failure }
    }

    /// Returns the names of the tables, as [`Restoring::is_left_out`] compares them.
    fn labels(&self) -> Vec<String> {
        match &self.rows {
            Rows::Table(table) => vec![table.label()],
            Rows::Tree(branches) => branches.tables.iter().map(|table| table.label()).collect(),
        }
    }
}

/// Returns whether the server refused the content although it works: a different try may succeed.
pub(super) fn is_about_content(failure: &Failure) -> bool {
    failure.refusal().is_some_and(|refusal| {
        let class = refusal.sqlstate.get(..2).unwrap_or_default();
        // Appendix A: data, integrity, undefined objects, errors that functions raise; also a
        // deadlock, if functions of two tables read each other's table. Not: no space, no
        // privileges, termination from outside.
        matches!(
            class,
            "0A" | "21" | "22" | "23" | "2B" | "2F" | "38" | "39" | "3F" | "40" | "42" | "44" | "P0"
        ) && refusal.sqlstate != "42501"
            || refusal.sqlstate == "XX000"
    })
}

/// Returns whether rows were refused because they belong to another partition: the only check
/// violation without the name of a constraint.
pub(super) fn is_misplaced(failure: &Failure) -> bool {
    failure.refusal().is_some_and(|refusal| refusal.sqlstate == "23514" && refusal.constraint.is_none())
}

/// Returns the failure for rows that could not be loaded; `None` if there are none.
pub(super) fn rows(restoring: &Restoring<'_>, refused: &[Refused<'_>]) -> Option<Failure> {
    let first = refused.first()?;
    let labels: Vec<String> = refused.iter().flat_map(Refused::labels).collect();
    Some(Failure::new(Exit::Data, with_others(&first.failure, &labels[1..])).advise(format!(
        "All other tables can be restored: say which search_path their functions need with --search-path, or leave the rows \
         out with: {}",
        without(restoring, &labels)
    )))
}

/// Returns the cause for the first, with the names of the others.
pub(super) fn with_others(first: &Failure, others: &[String]) -> String {
    if others.is_empty() {
        return first.to_string();
    }
    format!("{first} (and {})", some_of(others.iter().map(|label| printable(label)), ", "))
}

/// Returns the command that leaves these out.
pub(super) fn without(restoring: &Restoring<'_>, labels: &[String]) -> String {
    let options =
        labels.iter().map(|label| format!("--without '{}'", printable(label).replace('\'', r"'\''")));
    format!("nexus-restore apply {} {}", restoring.id(), some_of(options, " "))
}

fn some_of(all: impl Iterator<Item = String>, between: &str) -> String {
    let all: Vec<String> = all.collect();
    match all.len().checked_sub(NAMED) {
        None | Some(0) => all.join(between),
        Some(more) => format!("{}{between}… and {more} more", all[..NAMED].join(between)),
    }
}

#[cfg(test)]
mod tests {
    use nexus_cli::failure::Refusal;

    use super::*;

    fn failure(sqlstate: &str, constraint: Option<&str>) -> Failure {
        Failure::new(Exit::Unavailable, "x").refused_with(Refusal {
            sqlstate: sqlstate.to_owned(),
            constraint: constraint.map(str::to_owned),
            ..Refusal::default()
        })
    }

    #[test]
    fn only_errors_about_the_content_are_tried_again() {
        for sqlstate in ["42883", "23514", "23505", "22P02", "P0001", "3F000", "40P01", "XX000"] {
            assert!(is_about_content(&failure(sqlstate, None)), "{sqlstate}");
        }
        for sqlstate in ["53100", "57P01", "42501", "08006", "55P03", "XX001", ""] {
            assert!(!is_about_content(&failure(sqlstate, None)), "{sqlstate}");
        }
        assert!(!is_about_content(&Failure::new(Exit::Data, "damaged")));
    }

    #[test]
    fn a_row_of_another_partition_differs_from_a_failed_check() {
        assert!(is_misplaced(&failure("23514", None)));
        assert!(!is_misplaced(&failure("23514", Some("positive"))));
    }

    #[test]
    fn of_many_names_only_the_first_are_listed() {
        let labels = (0..10).map(|n| n.to_string());
        assert_eq!(some_of(labels.clone().take(8), ","), "0,1,2,3,4,5,6,7");
        assert_eq!(some_of(labels, ","), "0,1,2,3,4,5,6,7,… and 2 more");
    }
}
