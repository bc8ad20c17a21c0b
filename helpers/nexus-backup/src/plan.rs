//! `--dry-run`: what would be backed up, how, how large, and whether it fits. Writes nothing.

use nexus_backup_set::directory::BackupDirectory;
use nexus_backup_set::home::Homes;
use nexus_backup_set::keys;
use nexus_backup_set::rotation::RotationDecision;
use nexus_cli::failure::Result;
use nexus_cli::progress::human_bytes;
use nexus_postgres::server::Server;
use serde::Serialize;

use crate::args::Args;
use crate::job::{self, runtime};
use crate::redis::{self, Part};
use crate::rotation;
use crate::snapshot::Snapshot;
use crate::space;

/// What a run would do.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plan {
    tables: Vec<PlannedTable>,
    large_objects: u64,
    redis: bool,
    /// Why the set would lack Redis although it is wanted.
    redis_missing: Option<String>,
    recipients: usize,
    /// Bytes of the tables in the database.
    stored_bytes: u64,
    /// Bytes the set is expected to take.
    needed_bytes: u64,
    free_bytes: u64,
    fits: bool,
    would_remove: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct PlannedTable {
    schema: String,
    table: String,
    /// As the planner believes; `None` when it does not know.
    rows: Option<u64>,
    bytes: u64,
    format: &'static str,
    text_because: Option<String>,
}

/// Looks at everything a run would look at.
///
/// # Errors
/// As a run, but for the space, which is reported.
pub(crate) fn plan(args: &Args) -> Result<Plan> {
    let recipients = keys::recipients(&args.recipients)?.len();
    let directory = job::open(args, &Homes::of_this_machine())?;
    let server = Server::from_settings(&args.server)?;
    let (redis, redis_missing) = match redis::look(args.redis, &args.redis_socket)? {
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
                // Below zero: the planner has never counted.
                rows: u64::try_from(table.rows_believed).ok(),
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

/// What rotation would do with a set.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PlannedSet {
    set: String,
    removed: bool,
    reason: String,
}

/// What `--rotate-only` would do, oldest set first.
///
/// # Errors
/// I/O.
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
    /// For a person.
    pub(crate) fn to_text(&self) -> String {
        format!("{}  {}\n", self.set, self.reason)
    }
}

impl Plan {
    /// For a person.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{:>12} {:>12}  {:6} table\n", "rows (about)", "size", "how");
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
            "{} tables, {} large objects, {redis}, readable by {} recipients\n",
            self.tables.len(),
            self.large_objects,
            self.recipients
        ));
        if let Some(why) = &self.redis_missing {
            text.push_str(&format!("Redis cannot be read: {why}\n"));
        }
        let verdict = if self.fits { "it fits" } else { "it does NOT fit" };
        text.push_str(&format!(
            "needs about {}, free are {}: {verdict}\n",
            human_bytes(self.needed_bytes),
            human_bytes(self.free_bytes)
        ));
        for set in &self.would_remove {
            text.push_str(&format!("rotation would remove {set}\n"));
        }
        text
    }
}
