//! The command line and the settings of nexus-purge.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use nexus_backup_set::directory::BackupDir;
use nexus_backup_set::proof::ProofsDir;
use nexus_backup_set::rotation::Retention;
use nexus_cli::sockets::RedisSocket;
use nexus_ledger::LedgerPath;
use nexus_ledger::forgetting::{Limits, parse_kind, parse_table};
use nexus_ledger::{Hourly, TableColumns};
use nexus_postgres::server::ServerSettings;
use nexus_redis::copies::CopiesArgs;

use crate::rules::{self, KeyRules, Rules};

/// Forgets episodes: by type and age as NEXUS_TTL says, or those that you name here
///
/// nexus-purge.timer runs it every day; to run it now: systemctl start nexus-purge. It records each decision in the ledger
/// before it deletes a row, and a restore carries the decisions out again.
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-purge", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct Args {
    /// Forget these episodes
    #[arg(long, value_name = "ID", num_args = 1.., conflicts_with_all = ["kind", "older_than", "tag", "before", "agent", "all"])]
    pub(crate) episode: Vec<String>,

    /// Forget episodes of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,

    /// Forget episodes older than this (90d, 12h, 5y)
    #[arg(long, value_name = "AGE", value_parser = rules::age, conflicts_with = "before")]
    pub(crate) older_than: Option<Duration>,

    /// Forget episodes with this tag
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,

    /// Forget episodes older than this date or time (2026-01-31, 2026-01-31T12:00:00Z)
    #[arg(long, value_name = "DATE", value_parser = moment)]
    pub(crate) before: Option<Timestamp>,

    /// Forget episodes of this agent; other options narrow it down
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,

    /// Forget every episode; asks first
    #[arg(long, conflicts_with_all = ["kind", "older_than", "tag", "before", "agent"])]
    pub(crate) all: bool,

    /// Carry out every decision of the ledger again: after a restore by hand, or on an older copy of the database
    #[arg(long, conflicts_with_all = ["episode", "kind", "older_than", "tag", "before", "agent", "all", "dry_run"])]
    pub(crate) replay: bool,

    /// With --replay: only the decisions made since this date or time, and the open ones
    #[arg(long, value_name = "DATE", value_parser = moment, requires = "replay")]
    pub(crate) since: Option<Timestamp>,

    /// Show the ledger, and for each line when rotation removes the last backup that still holds what it forgot
    #[arg(long, conflicts_with_all = ["episode", "kind", "older_than", "tag", "before", "agent", "all", "dry_run", "replay"])]
    pub(crate) ledger: bool,

    /// Remove the backup sets that still hold forgotten episodes; asks first
    #[arg(long, conflicts_with_all = ["episode", "kind", "older_than", "tag", "before", "agent", "all", "replay", "ledger"])]
    pub(crate) expunge: bool,

    /// Serve one request over the connection on standard input; nexus-purge@.service uses it
    #[arg(long, hide = true, conflicts_with_all = ["episode", "kind", "older_than", "tag", "before", "agent", "all", "replay", "ledger", "expunge", "dry_run"])]
    pub(crate) answer: bool,

    /// Print what would be forgotten, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Do not ask, and do not stop at NEXUS_PURGE_MAX_SHARE
    #[arg(long)]
    pub(crate) yes: bool,

    /// Print one JSON object to standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Age by type: "conversation=90d, observation=30d, *=5y"; keep = never; * = every type not named
    #[arg(long, env = "NEXUS_TTL", value_name = "RULES", default_value = "", value_parser = Rules::parse, hide_default_value = true)]
    pub(crate) ttl: Rules,

    #[command(flatten)]
    pub(crate) limits: Limits,

    #[command(flatten)]
    pub(crate) hourly: Hourly,

    /// Overwrite the free space that the rows leave in the table's pages, and rebuild its indexes, while other programs work
    #[arg(long, env = "NEXUS_PURGE_SCRUB", value_name = "WHEN", default_value = "yes", default_missing_value = "yes", num_args = 0..=1)]
    pub(crate) scrub: YesNo,

    /// Rewrite the table afterwards instead; locks it meanwhile
    #[arg(long, env = "NEXUS_PURGE_REWRITE", value_name = "WHEN", default_value = "no", default_missing_value = "yes", num_args = 0..=1)]
    pub(crate) rewrite: YesNo,

    /// The most rows to delete in one transaction, 10 to 100000
    #[arg(long, env = "NEXUS_PURGE_BATCH", value_name = "ROWS", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub(crate) batch: u32,

    /// Purge with a pgvector before 0.8.4, whose VACUUM can damage an HNSW index during writes
    #[arg(long, env = "NEXUS_PURGE_OLD_PGVECTOR", value_name = "WHEN", default_value = "no", default_missing_value = "yes", num_args = 0..=1)]
    pub(crate) old_pgvector: YesNo,

    /// The table of the episodes: schema.table
    #[arg(long, env = "NEXUS_PURGE_TABLE", value_name = "TABLE", default_value = "nexus_memory.zep_episodic_memory",
          value_parser = parse_table)]
    pub(crate) table: (String, String),

    /// Its column that identifies a row
    #[arg(long, env = "NEXUS_PURGE_KEY", value_name = "COLUMN", default_value = "episode_id")]
    pub(crate) key_column: String,

    /// Its column with the time, from which the age counts
    #[arg(long, env = "NEXUS_PURGE_TIME", value_name = "COLUMN", default_value = "timestamp")]
    pub(crate) time_column: String,

    /// Its type: column, or column->>member of a JSON column
    #[arg(long, env = "NEXUS_PURGE_TYPE", value_name = "WHERE", default_value = "metadata->>action_type", value_parser = type_column)]
    pub(crate) type_column: String,

    /// Its column with the tags
    #[arg(long, env = "NEXUS_PURGE_TAGS", value_name = "COLUMN", default_value = "tags")]
    pub(crate) tags_column: String,

    /// Its column with the agent
    #[arg(long, env = "NEXUS_PURGE_AGENT", value_name = "COLUMN", default_value = "agent_id")]
    pub(crate) agent_column: String,

    #[command(flatten)]
    pub(crate) redis_copies: CopiesArgs,

    /// Time to live for Redis keys that have none, by prefix: "session:=1d, scratch:=2h"
    #[arg(long, env = "NEXUS_REDIS_TTL", value_name = "RULES", default_value = "", value_parser = KeyRules::parse, hide_default_value = true)]
    pub(crate) redis_ttl: KeyRules,

    #[command(flatten)]
    pub(crate) redis_socket: RedisSocket,

    #[command(flatten)]
    pub(crate) server: ServerSettings,

    #[command(flatten)]
    pub(crate) purge_ledger: LedgerPath,

    #[command(flatten)]
    pub(crate) backup_dir: BackupDir,

    #[command(flatten)]
    pub(crate) proofs_dir: ProofsDir,

    #[command(flatten)]
    pub(crate) retention: Retention,
}

/// A switch.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum YesNo {
    Yes,
    No,
}

impl Args {
    /// Returns whether the command line selects rows; otherwise the rules do.
    pub(crate) fn names_rows(&self) -> bool {
        self.all || !self.episode.is_empty() || self.describes_rows()
    }

    /// Returns whether the command line selects rows by their columns.
    pub(crate) fn describes_rows(&self) -> bool {
        self.kind.is_some()
            || self.older_than.is_some()
            || self.tag.is_some()
            || self.before.is_some()
            || self.agent.is_some()
    }

    /// Returns the table and its columns.
    pub(crate) fn columns(&self) -> TableColumns {
        TableColumns {
            schema: self.table.0.clone(),
            table: self.table.1.clone(),
            key: self.key_column.clone(),
            time: self.time_column.clone(),
            kind: self.type_column.clone(),
            tags: self.tags_column.clone(),
            agent: self.agent_column.clone(),
        }
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let day = text.parse::<Date>().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    day.map(|day| day.timestamp())
        .ok_or_else(|| "not a date or time; expected 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}

fn type_column(text: &str) -> Result<String, String> {
    parse_kind(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    /// Manual page, completions, .env.example and units say what the command line says.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Args>()
    }
}
