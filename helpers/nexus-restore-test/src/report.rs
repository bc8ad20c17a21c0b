//! The report of a restore test: for people, programs and the journal.

use nexus_backup_set::proof::Proof;
use nexus_cli::failure::Result;
use nexus_cli::journal::message_id;
use nexus_cli::output;
use nexus_cli::progress::human_bytes;
use nexus_cli::text::{columns, counted, grouped, printable};

/// Writes the report to the journal and standard output.
pub(crate) fn write(proof: &Proof, json: bool) -> Result<()> {
    let count = |what: &str| proof.counts.get(what).copied().unwrap_or_default();
    log::info!(
        MESSAGE_ID = message_id::TEST_PROVEN,
        NEXUS_JOB = "restore-test",
        NEXUS_BACKUP = proof.verdict.set.as_str(),
        NEXUS_ROWS = count("rows"),
        NEXUS_BYTES = count("bytes"),
        NEXUS_USEC = proof.usec;
        "backup {} is proven: restored into a throwaway server, {} in {} equal{}, {}",
        proof.verdict.set,
        counted(count("rows"), "row"),
        counted(proof.tables.len() as u64, "table"),
        recall(proof),
        seconds(proof.usec)
    );
    if json { output::json(proof) } else { output::print(&text(proof)) }
}

/// Formats the worst recall of all vector indexes.
fn recall(proof: &Proof) -> String {
    let worst = proof.searches.iter().map(|searched| searched.recall).reduce(f64::min);
    worst.map_or_else(String::new, |worst| format!(", recall@10 {worst:.2}"))
}

fn text(proof: &Proof) -> String {
    let mut lines = vec![vec!["compared, all equal".to_owned(), "count".to_owned()]];
    lines.push(vec!["tables".to_owned(), grouped(proof.tables.len() as u64)]);
    for (what, count) in &proof.counts {
        let is_bytes = what == "bytes";
        lines.push(vec![what.clone(), if is_bytes { human_bytes(*count) } else { grouped(*count) }]);
    }
    if let Some(redis) = &proof.redis {
        lines.push(vec!["keys of Redis".to_owned(), grouped(redis.keys())]);
    }
    let mut text = format!("\n{}", columns(&lines));
    if !proof.tables.is_empty() {
        let head = ["table", "rows", "sha256"].map(str::to_owned).to_vec();
        let tables = proof.tables.iter().map(|table| {
            let name = format!("{}.{}", table.schema, table.table);
            vec![name, grouped(table.rows), table.sha256.to_string()]
        });
        text.push_str(&format!("\n{}", columns(&std::iter::once(head).chain(tables).collect::<Vec<_>>())));
    }
    if !proof.searches.is_empty() {
        let head = ["vector index", "rows", "recall@10", "p95"].map(str::to_owned).to_vec();
        let searches = proof.searches.iter().map(|searched| {
            vec![
                searched.index.clone(),
                grouped(searched.rows),
                format!("{:.3}", searched.recall),
                format!("{}.{:02} ms", searched.p95_usec / 1000, searched.p95_usec / 10 % 100),
            ]
        });
        text.push_str(&format!("\n{}", columns(&std::iter::once(head).chain(searches).collect::<Vec<_>>())));
    }
    let mut lines = vec![vec!["step".to_owned(), "time".to_owned()]];
    lines.extend(proof.steps.iter().map(|step| vec![step.name.clone(), seconds(step.usec)]));
    lines.push(vec!["total".to_owned(), seconds(proof.usec)]);
    text.push_str(&format!("\n{}", columns(&lines)));
    for note in &proof.notes {
        text.push_str(&format!("\nNote: {}\n", printable(note)));
    }
    text.push_str(&format!("\nSet {} is proven.\n", proof.verdict.set));
    text
}

/// Formats a duration: `12.3 s`.
fn seconds(usec: u64) -> String {
    format!("{}.{} s", usec / 1_000_000, usec / 100_000 % 10)
}
