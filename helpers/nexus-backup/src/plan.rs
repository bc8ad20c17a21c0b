//! `--dry-run`: reports what a backup would hold, its size, and whether it fits. Writes nothing.

use nexus_backup_set::directory::BackupDirectory;
use nexus_backup_set::home::Homes;
use nexus_backup_set::keys;
use nexus_backup_set::rotation::RotationDecision;
use nexus_cli::failure::Result;
use nexus_cli::progress::human_bytes;
use nexus_cli::text::counted;
use nexus_postgres::blocking::runtime;
use nexus_postgres::server::Server;
use serde::Serialize;

use crate::args::Args;
use crate::job;
use crate::redis::{self, Part};
use crate::rotation;
use crate::snapshot::Snapshot;
use crate::space;

/// The plan of a backup.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plan {
    tables: Vec<PlannedTable>,
    large_objects: u64,
    redis: bool,
    /// Why the set would lack Redis although it is wanted.
    redis_missing: Option<String>,
    recipients: usize,
    /// Size of the tables in the database.
    stored_bytes: u64,
    /// Expected size of the set.
    needed_bytes: u64,
    free_bytes: u64,
    fits: bool,
    would_remove: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct PlannedTable {
    schema: String,
    table: String,
    /// PostgreSQL's estimate; `None` if it has none.
    rows: Option<u64>,
    bytes: u64,
    format: &'static str,
    text_because: Option<String>,
}

/// Makes the plan.
///
/// # Errors
/// Those of [`job::run`], except lack of space, which the plan reports.
pub(crate) fn plan(args: &Args) -> Result<Plan> {
    let recipients = keys::recipients(&args.recipients)?.len();
    let directory = job::open(args, &Homes::of_this_machine())?;
    let server = Server::from_settings(&args.server)?;
    let (redis, redis_missing) = match redis::inspect(args.redis, &args.redis_socket)? {
        Part::NotWanted => (false, None),
        Part::Wanted(_) => (true, None),
        Part::Missing(why) => (false, Some(why)),
    };
    let snapshot = runtime()?.block_on(Snapshot::open(&server))?;
    let space = space::measure(directory.path(), snapshot.stored_bytes(), directory.last()?)?;
    Ok(Plan {
        large_objects: snapshot.large_objects,
        redis,
        redis_missing,
        recipients,
        stored_bytes: snapshot.stored_bytes(),
        needed_bytes: space.needed,
        free_bytes: space.free,
        fits: space.suffices(),
        would_remove: would_remove(&directory, args)?,
        tables: snapshot
            .tables
            .into_iter()
            .map(|table| PlannedTable {
                schema: table.name.schema,
                table: table.name.table,
                // A negative estimate: the table was never analyzed.
                rows: u64::try_from(table.estimated_rows).ok(),
                bytes: table.stored_bytes,
                format: table.format.as_str(),
                text_because: table.text_because,
            })
            .collect(),
    })
}

fn would_remove(directory: &BackupDirectory, args: &Args) -> Result<Vec<String>> {
    let plan = rotation::plan(directory, args)?.into_iter();
    Ok(plan
        .filter(|(_, decision)| *decision == RotationDecision::Remove)
        .map(|(set, _)| set.name.to_string())
        .collect())
}

/// Rotation's decision about a set.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PlannedSet {
    set: String,
    removed: bool,
    reason: String,
}

/// Returns what `--rotate-only` would do, oldest set first.
pub(crate) fn rotation_plan(args: &Args) -> Result<Vec<PlannedSet>> {
    let directory = job::open(args, &Homes::of_this_machine())?;
    let planned = rotation::plan(&directory, args)?.into_iter().map(|(set, decision)| PlannedSet {
        set: set.name.to_string(),
        removed: decision == RotationDecision::Remove,
        reason: decision.reason(args.retention),
    });
    Ok(planned.collect())
}

impl PlannedSet {
    /// Formats it for people.
    pub(crate) fn to_text(&self) -> String {
        format!("{}  {}\n", self.set, self.reason)
    }
}

impl Plan {
    /// Formats it for people.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{:>12} {:>12}  {:6} table\n", "rows (about)", "size", "format");
        for table in &self.tables {
            let rows = table.rows.map_or_else(|| "?".to_owned(), |rows| rows.to_string());
            let why = table.text_because.as_ref().map_or_else(String::new, |why| format!("  ({why})"));
            text.push_str(&format!(
                "{rows:>12} {:>12}  {:6} {}.{}{why}\n",
                human_bytes(table.bytes),
                table.format,
                table.schema,
                table.table
            ));
        }
        let redis = if self.redis { "with Redis" } else { "without Redis" };
        text.push_str(&format!(
            "{}, {}, {redis}, readable by {}\n",
            counted(self.tables.len() as u64, "table"),
            counted(self.large_objects, "large object"),
            counted(self.recipients as u64, "recipient")
        ));
        if let Some(why) = &self.redis_missing {
            text.push_str(&format!("Redis cannot be read: {why}\n"));
        }
        let verdict = if self.fits { "it fits" } else { "it does NOT fit" };
        text.push_str(&format!(
            "needs about {}, {} are free: {verdict}\n",
            human_bytes(self.needed_bytes),
            human_bytes(self.free_bytes)
        ));
        for set in &self.would_remove {
            text.push_str(&format!("rotation would remove {set}\n"));
        }
        text
    }
}
