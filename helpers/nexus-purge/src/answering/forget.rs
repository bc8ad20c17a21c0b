//! Forgetting one episode now. The row goes, what refers to it, and its copies in Redis; the room that it leaves in files is
//! cleaned by the next nightly run, for which the decision stays open in the ledger.
//!
//! The row is deleted first, in a transaction that is not committed yet, so that what forbids it is known before the
//! ledger says anything; then the ledger's line is brought to the disk, then the copies go, then the row is gone for all.

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
use crate::job::Living;
use crate::redis::Redis;

/// How often it is tried to get a row that others hold, each time for a second.
const TRIES: u32 = 4;

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The episode is gone.
    Forgotten,
    /// The agent does not have the episode.
    Absent,
    /// It stays: the hourly limit is reached, with this many forgotten.
    TooMany(u64),
}

/// Forgets the episode that `request`, which came from `asker`, names.
///
/// # Errors
/// TryLater (75) when somebody else is at the ledger or at the row, and then nothing was done; else the first failure, which
/// says whether the ledger has the decision already.
pub(crate) fn forget(args: &Args, request: &Request, asker: &str) -> Result<Outcome> {
    let stop = Stop::on_signals()?;
    let progress = Progress::new(false);
    let Living { control, table, .. } = Living::open(args, &stop)?;
    if !table.has(&args.agent_column) {
        return Err(Failure::new(Exit::Settings, format!("looking at table {table}"))
            .because(format!("it has no column {}", args.agent_column))
            .advise("Set NEXUS_PURGE_AGENT to the column that has the agent"));
    }
    let normal = control
        .try_rows(&format!("SELECT {}", table.key_normal(&request.episode)))?
        .map_err(|error| from_client("reading the episode's id", &error))?;
    let Some(id) = normal.first().map(|row| row.get::<_, String>(0)) else { return Ok(Outcome::Absent) };
    // Most that is absent has no need of the ledger, or of its lock.
    let there = format!(
        "SELECT EXISTS (SELECT FROM {} WHERE {})",
        table.qualified(),
        table.is_of(&id, &request.agent)
    );
    if !control.row("looking for the episode", &there, &[])?.get::<_, bool>(0) {
        return Ok(Outcome::Absent);
    }
    let prefixes = args.redis_copies.prefixes();
    let mut redis = (!prefixes.is_empty()).then(|| Redis::connect(&args.redis_socket)).transpose()?;
    let mut ledger = LedgerFile::open(&args.purge_ledger, Keys::read()?, APPLICATION)?;
    // Other requests wait for the ledger, so none can exceed the limit.
    let recent = ledger.ledger().asked_within_the_hour(Timestamp::now());
    if args.hourly.is_reached(recent) {
        return Ok(Outcome::TooMany(recent));
    }
    let mut written: Option<Line> = None;
    let erased = {
        let mut before_it_is_gone = |ids: &[String]| -> Result<()> {
            if written.is_none() {
                let what = What::Decision(Box::new(decision(&table, &ledger, &id)));
                written = Some(ledger.append(&asked_by(asker), what)?);
            }
            if let Some(redis) = redis.as_mut() {
                redis.forget_copies(&prefixes, ids)?;
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
            &mut before_it_is_gone,
        )?;
        eraser.trying(TRIES).by_key_of(&id, &request.agent)
    };
    match erased {
        Ok(erased) if erased.rows.iter().any(|rows| *rows > 0) => Ok(Outcome::Forgotten),
        Ok(_) => Ok(Outcome::Absent),
        Err(failure) if written.is_some() => Err(Failure::new(Exit::Io, "after the ledger was written")
            .because(failure.to_string())
            .advise("The next nightly run forgets it: the ledger says so")),
        Err(failure) => Err(failure),
    }
}

fn decision(table: &Table, ledger: &LedgerFile, id: &str) -> Decision {
    let key = ledger.keys().current();
    let forget = Forget::Keys(Hashes { key: key.id().clone(), hashes: vec![key.hash("id", id.as_bytes())] });
    Decision { table: table.place().clone(), forget, adopted: None, found: Some(1), agreed: true }
}
