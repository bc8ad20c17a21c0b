//! The output of PostgreSQL's own tools: pg_dump's archive without the copied rows, and the roles.

use std::collections::BTreeMap;

use nexus_backup_set::manifest::SequenceState;
use nexus_backup_set::{DATABASE, ROLES};
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_docker_client::client::Client;
use nexus_docker_client::protocol::{LOCK_WAIT, Request, TableName};
use nexus_fs::new_file::Stored;
use nexus_postgres::quote;
use nexus_postgres::server::Server;

use crate::pipeline::{self, Streamed};
use crate::setval::Setvals;
use crate::snapshot::Snapshot;
use crate::staging::Staging;
use crate::tool::Tool;

/// The first bytes of an archive in pg_dump's custom format (`pg_backup_archiver.c`, WriteHead).
const MAGIC: &[u8] = b"PGDMP";

/// The tools and how to run them.
pub(crate) struct Tools {
    pub(crate) server: Server,
    pub(crate) pg_dump: Tool,
    pub(crate) pg_dumpall: Tool,
    /// Ends the wait for a tool that writes nothing.
    pub(crate) stop: Stop,
}

impl Tools {
    /// Chooses how to run each tool.
    ///
    /// # Errors
    /// Settings (78) if a configured command is blank.
    pub(crate) fn choose(
        server: Server,
        docker: &Client,
        pg_dump: Option<&str>,
        pg_dumpall: Option<&str>,
        stop: &Stop,
    ) -> Result<Self> {
        Ok(Self {
            server,
            pg_dump: Tool::choose(pg_dump, docker)?,
            pg_dumpall: Tool::choose(pg_dumpall, docker)?,
            stop: stop.clone(),
        })
    }

    /// Runs pg_dump in the snapshot, without the rows of the copied tables.
    ///
    /// # Errors
    /// The tool's error; Unavailable (69) if its output is not an archive.
    pub(crate) fn dump(
        &self,
        snapshot: &Snapshot,
        staging: &Staging,
        progress: &Progress,
    ) -> Result<(Stored, BTreeMap<String, Vec<SequenceState>>)> {
        let tables: Vec<TableName> = snapshot.tables.iter().map(|table| table.name.clone()).collect();
        let database = &snapshot.postgres.database;
        let mut arguments = vec![
            "--format=custom".to_owned(),
            "--compress=0".to_owned(),
            // The patterns below are UTF-8. Without this they match nothing in a database with another encoding.
            "--encoding=UTF8".to_owned(),
            format!("--lock-wait-timeout={LOCK_WAIT}"),
            format!("--snapshot={}", snapshot.postgres.snapshot),
            format!("--dbname=dbname={}", quote::conninfo_value(database)),
        ];
        arguments.extend(
            tables
                .iter()
                .map(|name| format!("--exclude-table-data={}", quote::qualified(&name.schema, &name.table))),
        );
        let request = Request::Dump {
            database: database.clone(),
            snapshot: snapshot.postgres.snapshot.clone(),
            exclude_table_data: tables,
        };
        progress.doing("dumping definitions");
        let mut setvals = Setvals::default();
        let inspect = |piece: &[u8]| setvals.take(piece);
        let streamed =
            self.store(&self.pg_dump, &request, &arguments, DATABASE, staging, progress, MAGIC, inspect)?;
        Ok((streamed.stored, setvals.found()))
    }

    /// Runs pg_dumpall for the roles, without their passwords.
    pub(crate) fn dump_roles(&self, staging: &Staging, progress: &Progress) -> Result<Stored> {
        let arguments = ["--roles-only".to_owned(), "--no-role-passwords".to_owned()];
        progress.doing("dumping roles");
        let request = Request::DumpRoles {};
        let streamed =
            self.store(&self.pg_dumpall, &request, &arguments, ROLES, staging, progress, b"--", |_| ())?;
        Ok(streamed.stored)
    }

    #[expect(clippy::too_many_arguments, reason = "two callers above; a struct would only rename them")]
    fn store(
        &self,
        tool: &Tool,
        request: &Request,
        arguments: &[String],
        file: &str,
        staging: &Staging,
        progress: &Progress,
        begins_with: &[u8],
        inspect: impl FnMut(&[u8]),
    ) -> Result<Streamed> {
        let doing = format!("dumping into {file}");
        let mut output = tool.start(request, arguments, &self.server, &self.stop)?;
        let streamed = pipeline::store(&mut output, begins_with, file, &doing, staging, progress, inspect);
        // A tool that exits with 0 after an empty or unknown output must not pass for a backup.
        streamed.map_err(mark_conflict)?.ok_or_else(|| {
            Failure::new(Exit::Unavailable, doing)
                .because("the tool succeeded, but its output is not in the expected format")
                .advise("See which command runs as pg_dump: NEXUS_PG_DUMP, or journalctl -u 'nexus-docker@*'")
        })
    }
}

/// pg_dump's messages about conflicts with other sessions: --lock-wait-timeout expired, the server broke a deadlock, or an
/// object was dropped before pg_dump described it.
const CONFLICTS: [&str; 4] = [
    "canceling statement due to statement timeout",
    "deadlock detected",
    "cache lookup failed for",
    "could not open relation with OID",
];

/// Turns a failure that other sessions caused into TryLater (75).
fn mark_conflict(failure: Failure) -> Failure {
    let message = failure.to_string();
    if CONFLICTS.iter().any(|words| message.contains(words)) {
        Failure::new(Exit::TryLater, message)
    } else {
        failure
    }
}
