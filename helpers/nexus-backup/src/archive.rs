//! What PostgreSQL's own tools write: the archive of all but the copied rows, and the roles.

use std::collections::BTreeMap;

use nexus_backup_set::manifest::SequenceState;
use nexus_backup_set::{DATABASE, ROLES};
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_cli::progress::Progress;
use nexus_cli::pump::pump;
use nexus_cli::stop::Stop;
use nexus_docker_client::client::Client;
use nexus_docker_client::protocol::{LOCK_WAIT, Request, TableName};
use nexus_fs::new_file::Stored;
use nexus_postgres::quote;
use nexus_postgres::server::Server;

use crate::pipeline::{self, Passed};
use crate::setval::Setvals;
use crate::snapshot::Snapshot;
use crate::staging::Staging;
use crate::tool::Tool;

/// How every archive of pg_dump's custom format begins (`pg_backup_archiver.c`, WriteHead).
const MAGIC: &[u8] = b"PGDMP";

/// What is needed to run the tools.
pub(crate) struct Tools {
    pub(crate) server: Server,
    pub(crate) pg_dump: Tool,
    pub(crate) pg_dumpall: Tool,
    /// Ends the wait for a tool that says nothing.
    pub(crate) stop: Stop,
}

impl Tools {
    /// Chooses how each tool is run.
    ///
    /// # Errors
    /// Settings (78).
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

    /// Runs pg_dump in the snapshot, without the rows of the tables that are copied.
    ///
    /// # Errors
    /// The tool's last words; Unavailable (69) when what it wrote is no archive.
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
            // What names are given in; without it the patterns match nothing in a database of another encoding.
            "--encoding=UTF8".to_owned(),
            format!("--lock-wait-timeout={LOCK_WAIT}"),
            format!("--snapshot={}", snapshot.postgres.snapshot),
            format!("--dbname=dbname={}", conninfo_value(database)),
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
        let look = |piece: &[u8]| setvals.take(piece);
        let passed =
            self.store(&self.pg_dump, &request, &arguments, DATABASE, staging, progress, MAGIC, look)?;
        Ok((passed.stored, setvals.found()))
    }

    /// Runs pg_dumpall for the roles, without their passwords.
    ///
    /// # Errors
    /// The tool's last words.
    pub(crate) fn dump_roles(&self, staging: &Staging, progress: &Progress) -> Result<Stored> {
        let arguments = ["--roles-only".to_owned(), "--no-role-passwords".to_owned()];
        progress.doing("dumping roles");
        let request = Request::DumpRoles {};
        let passed =
            self.store(&self.pg_dumpall, &request, &arguments, ROLES, staging, progress, b"--", |_| ())?;
        Ok(passed.stored)
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
        mut look: impl FnMut(&[u8]),
    ) -> Result<Passed> {
        let doing = || format!("dumping into {file}");
        let mut output = tool.start(request, arguments, &self.server, &self.stop)?;
        let mut head = Vec::new();
        let ((), passed) = pipeline::run(staging.seal(file)?, file, |intake| {
            let passed = pump(&mut output, 256 << 10, |piece| {
                let missing = begins_with.len().saturating_sub(head.len()).min(piece.len());
                head.extend_from_slice(&piece[..missing]);
                progress.advance(piece.len() as u64);
                look(piece);
                Ok(intake.take(piece)?)
            });
            passed.or_fail_io(doing).map_err(of_others)
        })?;
        if head != begins_with {
            // An empty or strange output with exit 0 must never pass for a backup.
            return Err(Failure::new(Exit::Unavailable, doing())
                .because("the tool succeeded, but what it wrote does not begin as it must")
                .advise("See what runs as pg_dump: NEXUS_PG_DUMP, or journalctl -u 'nexus-docker@*'"));
        }
        Ok(passed)
    }
}

/// pg_dump's messages when other sessions are in its way: --lock-wait-timeout has expired, the server ended a deadlock, or an
/// object was dropped before pg_dump described it.
const OTHERS: [&str; 4] = [
    "canceling statement due to statement timeout",
    "deadlock detected",
    "cache lookup failed for",
    "could not open relation with OID",
];

/// A failure that other sessions cause may pass.
fn of_others(failure: Failure) -> Failure {
    let said = failure.to_string();
    if OTHERS.iter().any(|words| said.contains(words)) { Failure::new(Exit::TryLater, said) } else { failure }
}

/// A value in a conninfo string (libpq, "Keyword/Value Connection Strings").
fn conninfo_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}
