//! Forgets one episode now: the row, the rows that refer to it, and its copies in Redis. The decision stays open in the
//! ledger, so that the next nightly run cleans the files.
//!
//! The order: delete the row, so that an error comes before the ledger's line; sync that line to disk; delete the copies;
//! commit.

use std::time::Duration;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_ledger::forgetting::protocol::Request;
use nexus_ledger::forgetting::{Eraser, Table};
use nexus_ledger::{Decision, Forget, Hashes, Keys, LedgerFile, Line, What, asked_by};
use nexus_postgres::failure::from_client;

use crate::APPLICATION;
use crate::args::Args;
use crate::job::LiveTable;
use crate::redis::Redis;

/// How long a request waits for the ledger. Sixteen requests may take turns (MaxConnections= of the socket), and systemd ends one after
/// 30 seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it tries to lock a row that another session holds, for one second each.
const TRIES: u32 = 4;

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The episode is gone.
    Forgotten,
    /// The agent does not have the episode.
    Absent,
    /// The hourly limit is reached; holds how many were forgotten.
    TooMany(u64),
}

/// Forgets the episode that `request` names, for the user `peer`.
///
/// # Errors
/// TryLater (75), and nothing was done, if another process holds the ledger or the row. Any other failure says whether the
/// ledger already has the decision.
pub(crate) fn forget(args: &Args, request: &Request, peer: &str) -> Result<Outcome> {
    let stop = Stop::on_signals()?;
    let progress = Progress::new(false);
    let LiveTable { control, table, .. } = LiveTable::open(args, &stop)?;
    if !table.has(&args.agent_column) {
        return Err(Failure::new(Exit::Settings, format!("checking table {table}"))
            .because(format!("it has no column {}", args.agent_column))
            .advise("Set NEXUS_PURGE_AGENT in /etc/nexus/nexus.env to the column that has the agent"));
    }
    let normal = control
        .try_rows(&format!("SELECT {}", table.key_normal(&request.episode)))?
        .map_err(|error| from_client("reading the episode's id", &error))?;
    let Some(id) = normal.first().map(|row| row.get::<_, String>(0)) else { return Ok(Outcome::Absent) };
    // Most absent episodes are found here, without the ledger's lock.
    let exists = format!(
        "SELECT EXISTS (SELECT FROM {} WHERE {})",
        table.qualified(),
        table.is_of(&id, &request.agent)
    );
    if !control.row("looking for the episode", &exists, &[])?.get::<_, bool>(0) {
        return Ok(Outcome::Absent);
    }
    let prefixes = args.redis_copies.prefixes();
    let mut redis = (!prefixes.is_empty()).then(|| Redis::connect(&args.redis_socket)).transpose()?;
    let mut ledger = LedgerFile::open_within(&args.purge_ledger, Keys::read()?, APPLICATION, PATIENCE)?;
    // Other requests wait for the ledger, so none can exceed the limit.
    let recent = ledger.ledger().asked_within_the_hour(Timestamp::now());
    if args.hourly.is_reached(recent) {
        return Ok(Outcome::TooMany(recent));
    }
    let mut written: Option<Line> = None;
    let erased = {
        let mut before_commit = |ids: &[String]| -> Result<()> {
            if written.is_none() {
                let what = What::Decision(Box::new(decision(&table, &ledger, &id)));
                written = Some(ledger.append(&asked_by(peer), what)?);
            }
            if let Some(redis) = redis.as_mut() {
                redis.delete_copies(&prefixes, ids)?;
            }
            Ok(())
        };
        let mut eraser = Eraser::new(
            &control,
            &table,
            args.limits.referring,
            args.batch,
            false,
            &progress,
            &stop,
            &mut before_commit,
        )?;
        eraser.trying(TRIES).by_key_of(&id, &request.agent)
    };
    match erased {
        Ok(erased) if erased.rows.iter().any(|rows| *rows > 0) => Ok(Outcome::Forgotten),
        Ok(_) => Ok(Outcome::Absent),
        Err(failure) if written.is_some() => Err(Failure::new(Exit::Io, "after the decision was recorded")
            .because(failure.to_string())
            .advise("The next nightly run forgets the episode")),
        Err(failure) => Err(failure),
    }
}

fn decision(table: &Table, ledger: &LedgerFile, id: &str) -> Decision {
    let key = ledger.keys().current();
    let forget = Forget::Keys(Hashes { key: key.id().clone(), hashes: vec![key.hash("id", id.as_bytes())] });
    Decision { table: table.place().clone(), forget, adopted: None, found: Some(1), agreed: true }
}
