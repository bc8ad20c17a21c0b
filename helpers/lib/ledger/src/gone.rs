//! Counts the rows that a ledger records as forgotten, without its key.

use std::path::Path;

use jiff::Timestamp;
use nexus_cli::failure::Result;
use serde::Deserialize;

use super::file::each_line;

/// The fields of a line that record deleted rows.
#[derive(Deserialize)]
struct Gone {
    at: Timestamp,
    done: Option<Rows>,
}

#[derive(Deserialize)]
struct Rows {
    rows: u64,
}

/// Counts the rows that the ledger at `path` records as gone, in total or up to `until`. A
/// malformed line does not count; nexus-purge reports it.
///
/// # Errors
/// I/O. A ledger that was never written counts as empty.
pub fn rows_gone(path: &Path, until: Option<Timestamp>) -> Result<u64> {
    let mut rows: u64 = 0;
    each_line(path, |line| {
        if let Ok(Gone { at, done: Some(done) }) = serde_json::from_slice(line)
            && until.is_none_or(|until| at <= until)
        {
            rows = rows.saturating_add(done.rows);
        }
        Ok(())
    })?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_gone_are_counted_and_decisions_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("purge-ledger.jsonl");
        assert_eq!(rows_gone(&path, None).unwrap(), 0);
        let lines = [
            r#"{"n":1,"key":"0","at":"2026-01-01T00:00:00Z","by":"a rule","decision":{"found":9},"mac":"0"}"#,
            r#"{"n":2,"key":"0","at":"2026-01-01T00:00:01Z","by":"a rule","done":{"of":"0","rows":40},"mac":"0"}"#,
            "rubbish",
            r#"{"n":3,"key":"0","at":"2026-01-02T00:00:00Z","by":"a rule","done":{"of":"0","rows":2},"mac":"0"}"#,
            "",
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        assert_eq!(rows_gone(&path, None).unwrap(), 42);
        assert_eq!(rows_gone(&path, Some("2026-01-01T12:00:00Z".parse().unwrap())).unwrap(), 40);
    }
}
