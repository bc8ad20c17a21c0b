//! Making a database of a set, step by step, and comparing it with what was backed up. nexus-restore does it beside the
//! living database, nexus-restore-test in a throwaway server.

mod again;
pub mod archive;
pub mod child;
pub mod compare;
pub mod database;
pub mod forget;
mod parallel;
mod pg_restore;
pub mod post_data;
pub mod redis;
mod refused;
pub mod requirements;
mod role_plan;
pub mod roles;
mod row_sum;
pub mod rows;
pub mod statements;
mod tree;
pub mod unbuilt;

use std::path::PathBuf;
use std::time::Instant;

use nexus_backup_set::directory::SetEntry;
use nexus_backup_set::locate::IdentitySource;
use nexus_backup_set::manifest::{Manifest, Table};
use nexus_backup_set::proof::Step;
use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_cli::text::printable;
use nexus_docker_client::protocol::{self, Section};
use nexus_postgres::blocking::Control;
use nexus_postgres::server::Server;

pub use row_sum::RowSum;
pub use tree::Tree;

/// A database that is being made of a set.
#[derive(Debug)]
pub struct Restoring<'a> {
    /// Where it is made.
    pub server: Server,
    /// Name of the database that is made.
    pub database: String,
    /// Of what it is made.
    pub set: SetEntry,
    /// What the set says it holds.
    pub manifest: Manifest,
    /// Who decrypts.
    pub unlock: IdentitySource,
    /// Who runs pg_restore.
    pub tool: Tool,
    /// Tables at once.
    pub jobs: u8,
    /// What a person has asked for.
    pub wanted: Wanted,
    /// Whom to tell how far it is.
    pub progress: &'a Progress,
    /// Asked in between.
    pub stop: &'a Stop,
    /// Whether tables and indexes go to the database's default tablespace, because this server lacks a tablespace of
    /// the set.
    pub without_tablespaces: bool,
    /// Partitions that were loaded through their root.
    pub trees: Vec<Tree>,
    /// Roles that were made for it.
    pub roles_made: Vec<String>,
    /// What a person should know at the end.
    pub notes: Vec<String>,
    /// What was done so far.
    pub steps: Vec<Step>,
}

/// How to restore a set that does not restore without help.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What to leave out: rows of tables and post-data entries, each by the name in the refusal.
    pub without: Vec<String>,
    /// The search_path for rows that are refused without one, instead of those in the set.
    pub search_path: Option<String>,
}

/// Who runs pg_restore.
#[derive(Clone, Debug)]
pub enum Tool {
    /// nexus-docker, in the container of a server.
    Docker {
        /// Where it listens.
        socket: PathBuf,
        /// Which server's container.
        server: protocol::Server,
    },
    /// A command of the owner's (setting `NEXUS_PG_RESTORE`), for a server outside Compose.
    Command(String),
}

impl Restoring<'_> {
    /// `000042`
    pub fn id(&self) -> String {
        format!("{:06}", self.set.name.sequence)
    }

    /// Whether a person wants the rows of `table` left out.
    pub fn is_left_out(&self, table: &Table) -> bool {
        self.wanted.without.contains(&table.label())
    }

    /// Notes that something is left out on request.
    pub fn leave_out(&mut self, label: &str, why: &str) {
        self.note(format!("left out as asked{why}: {}", printable(label)));
    }

    /// Remembers something that a person should know at the end.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Does one step and takes its time.
    ///
    /// # Errors
    /// TryLater (75) when stopped, else the step's.
    pub fn step<T>(&mut self, name: &str, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.stop.check()?;
        self.progress.doing(name);
        let began = Instant::now();
        let outcome =
            work(self).map_err(|failure| failure.while_doing(format!("restoring set {}", self.id())))?;
        self.took(name, began);
        Ok(outcome)
    }

    /// Remembers that a step which began at `began` is done.
    pub fn took(&mut self, name: &str, began: Instant) {
        let usec = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.steps.push(Step { name: name.to_owned(), usec });
    }

    /// Makes the database and fills it. It lets in nobody but superusers until [`database::finish`].
    ///
    /// `control` is a session in another database of the server.
    ///
    /// # Errors
    /// Data (65) when the set is damaged, else the server's.
    pub fn fill(&mut self, control: &Control, server_version: u32) -> Result<()> {
        self.fill_rows(control, server_version)?;
        self.step("post-data", post_data::restore)
    }

    /// The same, but for what comes after the rows: keys, indexes, triggers, policies.
    ///
    /// # Errors
    /// As [`Restoring::fill`].
    pub fn fill_rows(&mut self, control: &Control, server_version: u32) -> Result<()> {
        self.step("roles", |making| roles::restore(making, control))?;
        self.step("create", |making| {
            requirements::check_tablespaces(making, control)?;
            database::create(making, control, server_version)
        })?;
        self.step("pre-data", |making| archive::restore(making, Section::PreData))?;
        self.step("rows", rows::load)?;
        self.step("data", |making| archive::restore(making, Section::Data))
    }
}
