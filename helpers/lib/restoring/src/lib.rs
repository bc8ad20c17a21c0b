//! Restores a set into a new database, step by step, and compares it with the backup. nexus-restore
//! does it beside the live database, nexus-restore-test in a throwaway server.

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

/// A restore of a set into a new database.
#[derive(Debug)]
pub struct Restoring<'a> {
    /// The server of the new database.
    pub server: Server,
    /// The name of the new database.
    pub database: String,
    /// The set.
    pub set: SetEntry,
    /// The manifest of the set.
    pub manifest: Manifest,
    /// The source of the identity to decrypt the set.
    pub unlock: IdentitySource,
    /// How to run pg_restore.
    pub tool: Tool,
    /// The number of tables to load at once.
    pub jobs: u8,
    /// The requests of the owner.
    pub wanted: Wanted,
    /// Where to report progress.
    pub progress: &'a Progress,
    /// The flag that stops the restore.
    pub stop: &'a Stop,
    /// Whether to put tables and indexes in the database's default tablespace, because this server
    /// lacks a tablespace of the set.
    pub without_tablespaces: bool,
    /// Partitions that were loaded through their root.
    pub trees: Vec<Tree>,
    /// Roles that the restore has created.
    pub roles_made: Vec<String>,
    /// Notes for people, printed at the end.
    pub notes: Vec<String>,
    /// The completed steps.
    pub steps: Vec<Step>,
}

/// Requests for a set that cannot be restored without help.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The tables whose rows to leave out, and the post-data entries to leave out, each by its name
    /// in the refusal.
    pub without: Vec<String>,
    /// The search_path for rows that are refused without one. It replaces those in the set.
    pub search_path: Option<String>,
}

/// How to run pg_restore.
#[derive(Clone, Debug)]
pub enum Tool {
    /// nexus-docker runs it in the container of a server.
    Docker {
        /// The path of its socket.
        socket: PathBuf,
        /// The server of the container.
        server: protocol::Server,
    },
    /// A command of the owner (setting `NEXUS_PG_RESTORE`) runs it, for a server outside Compose.
    Command(String),
}

impl Restoring<'_> {
    /// Returns the number of the set, such as `000042`.
    pub fn id(&self) -> String {
        format!("{:06}", self.set.name.sequence)
    }

    /// Returns whether the owner leaves the rows of `table` out.
    pub(crate) fn is_left_out(&self, table: &Table) -> bool {
        self.wanted.without.contains(&table.label())
    }

    /// Adds a note that something is left out on request.
    pub(crate) fn leave_out(&mut self, label: &str, why: &str) {
        self.note(format!("left out as asked{why}: {}", printable(label)));
    }

    /// Adds a note for people.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Runs a step and records its duration.
    ///
    /// # Errors
    /// TryLater (75) when stopped; errors of the step.
    pub fn step<T>(&mut self, name: &str, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.stop.check()?;
        self.progress.doing(name);
        let began = Instant::now();
        let outcome =
            work(self).map_err(|failure| failure.while_doing(format!("restoring set {}", self.id())))?;
        self.took(name, began);
        Ok(outcome)
    }

    /// Records the duration of a step that began at `began`.
    pub fn took(&mut self, name: &str, began: Instant) {
        let usec = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.steps.push(Step { name: name.to_owned(), usec });
    }

    /// Creates the database and fills it. Only superusers may connect until [`database::finish`].
    ///
    /// `control` must be a session in another database of the server.
    ///
    /// # Errors
    /// Data (65) when the set is damaged; errors of the server.
    pub fn fill(&mut self, control: &Control, server_version: u32) -> Result<()> {
        self.fill_rows(control, server_version)?;
        self.step("post-data", post_data::restore)
    }

    /// Like [`Self::fill`], but without post-data: keys, indexes, triggers, policies.
    ///
    /// # Errors
    /// Those of [`Restoring::fill`].
    pub fn fill_rows(&mut self, control: &Control, server_version: u32) -> Result<()> {
        self.step("roles", |restoring| roles::restore(restoring, control))?;
        self.step("create", |restoring| {
            requirements::check_tablespaces(restoring, control)?;
            database::create(restoring, control, server_version)
        })?;
        self.step("pre-data", |restoring| archive::restore(restoring, Section::PreData))?;
        self.step("rows", rows::load)?;
        self.step("data", |restoring| archive::restore(restoring, Section::Data))
    }
}
