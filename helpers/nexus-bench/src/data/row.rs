//! A row in the text format of COPY.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use crate::fixture::AGENT;

/// The type of rows that a purge may forget, and their number in ten.
pub(crate) const OLD: &str = "bench-old";
const OLD_OF_TEN: u64 = 3;

/// An episode of the benchmark.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// The number of the row, which is also its id.
    pub(crate) number: u64,
    pub(crate) text: String,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) vector: Vec<f32>,
    /// The version of the vector.
    pub(crate) version: String,
}

impl Row {
    /// Writes the row as a line of COPY's text format.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        let is_old = self.number % 10 < OLD_OF_TEN;
        let (days, kind) = if is_old { (200, OLD) } else { (self.number % 90, "bench") };
        let when =
            Timestamp::now() - SignedDuration::from_hours(24 * i64::try_from(days).unwrap_or_default());
        let escaped =
            self.text.replace('\\', r"\\").replace('\t', r"\t").replace('\n', r"\n").replace('\r', r"\r");
        let vector = literal(&self.vector);
        let line = format!(
            "00000000-0000-4000-8000-{:012x}\t{when}\t{escaped}\t{{{}}}\t{vector}\t{}\t{{\"action_type\": \"{kind}\"}}\t{AGENT}\n",
            self.number,
            self.tags.join(","),
            self.version
        );
        out.extend_from_slice(line.as_bytes());
    }
}

/// Formats a vector for pgvector.
pub(crate) fn literal(vector: &[f32]) -> String {
    let mut text = String::with_capacity(12 * vector.len());
    for number in vector {
        text.push(if text.is_empty() { '[' } else { ',' });
        // Writing to a String cannot fail.
        let _ = write!(text, "{number}");
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line_of_copy() {
        let row = Row {
            number: 0,
            text: "a\tb\nc\\".to_owned(),
            tags: vec!["bench", "rare"],
            vector: vec![0.5, -1.0],
            version: "v".to_owned(),
        };
        let mut line = Vec::new();
        row.write_to(&mut line);
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        let fields: Vec<&str> = line.trim_end().split('\t').collect();
        assert_eq!(fields.len(), 8);
        assert_eq!(fields[0], "00000000-0000-4000-8000-000000000000");
        assert!(
            fields[1].parse::<Timestamp>().unwrap() < Timestamp::now() - SignedDuration::from_hours(24 * 100)
        );
        assert_eq!(fields[2..4], [r"a\tb\nc\\", "{bench,rare}"]);
        assert_eq!(fields[4], "[0.5,-1]");
    }
}
