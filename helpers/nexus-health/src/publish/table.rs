//! The table of `--once`.

use nexus_cli::text::{columns, moment, printable};

use super::document::Document;
use crate::level::FindingLevel;

/// Returns the findings, worst first, then by name; and below, what to do.
pub(crate) fn text(document: &Document) -> String {
    let mut rows: Vec<_> = document.findings.iter().collect();
    rows.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| a.id.cmp(&b.id)));
    let cells = rows.iter().map(|row| vec![row.level.to_string(), row.id.clone(), row.sentence.clone()]);
    let head = ["level", "finding", "state"].map(str::to_owned).to_vec();
    let mut text = columns(&std::iter::once(head).chain(cells).collect::<Vec<_>>());
    let to_do: Vec<_> =
        rows.iter().filter(|row| row.level != FindingLevel::Ok && !row.advice.is_empty()).collect();
    if !to_do.is_empty() {
        let cells = to_do.iter().map(|row| vec![row.id.clone(), row.advice.clone()]);
        let head = ["finding", "what to do"].map(str::to_owned).to_vec();
        text.push_str(&format!("\n{}", columns(&std::iter::once(head).chain(cells).collect::<Vec<_>>())));
    }
    text.push_str(&format!(
        "\n{}, {}: {}\n",
        moment(document.at),
        document.level,
        printable(&document.sentence)
    ));
    text
}
