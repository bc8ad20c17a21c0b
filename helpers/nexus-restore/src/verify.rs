//! `nexus-restore verify`: checks that sets are unchanged since they were written.

use nexus_backup_set::directory::BackupDirectory;
use nexus_backup_set::locate::find_set;
use nexus_backup_set::verify::{check, size_of};
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::output;
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_cli::text::counted;

use crate::args::VerifyArgs;

/// Checks one set, or all. Names damaged files on standard output.
///
/// # Errors
/// Data (65) if a set is damaged.
pub(crate) fn run(args: &VerifyArgs, stop: &Stop) -> Result<()> {
    let sets = if args.set == "all" {
        BackupDirectory::at(&args.common.backup_dir)?.sets()?
    } else {
        vec![find_set(&args.common.backup_dir, &args.set)?]
    };
    let mut results = Vec::new();
    for set in &sets {
        let progress = Progress::new(!args.common.json);
        progress.expect(size_of(&set.path));
        let checked = check(set, &progress, stop);
        progress.finish();
        let checked = checked?;
        if !args.common.json {
            output::print(&checked.lines())?;
        }
        results.push(checked);
    }
    let damaged = results.iter().filter(|checked| !checked.damaged.is_empty()).count();
    if args.common.json {
        output::json(&serde_json::json!({ "sets": results, "damaged": damaged }))?;
    } else if sets.is_empty() {
        output::print(&format!("no set in {}\n", args.common.backup_dir.display()))?;
    }
    if damaged == 0 {
        return Ok(());
    }
    let are = if damaged == 1 { "is" } else { "are" };
    Err(Failure::new(Exit::Data, format!("{damaged} of {} {are} damaged", counted(sets.len() as u64, "set")))
        .advise(
            "Do not rely on a damaged set: make a new set with systemctl start nexus-backup, and check the disk (smartctl)",
        ))
}
