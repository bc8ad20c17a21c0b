//! The benchmark's database: created, filled, and always dropped at the end.

use std::process::Command;

use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::stop::Stop;
use nexus_postgres::blocking::Control;
use nexus_postgres::raw::RawSession;
use nexus_postgres::server::{Server, ServerSettings};

use crate::APPLICATION;
use crate::args::{Data, ServerArgs};
use crate::data::Maker;
use crate::report::Report;

/// The name of the database. No other database may have it: an existing one was left by a run that
/// was killed.
pub(crate) const NAME: &str = "nexus_bench";

/// The vector index, which is built after the rows are filled in.
const DROP_VECTOR_INDEX: &str = "DROP INDEX nexus_memory.zep_embedding_hnsw";
const VECTOR_INDEX: &str = "CREATE INDEX zep_embedding_hnsw ON nexus_memory.zep_episodic_memory \
    USING hnsw (embedding public.vector_cosine_ops) WITH (m = 16, ef_construction = 64)";

/// Fills these columns.
const COPY: &str = "COPY nexus_memory.zep_episodic_memory \
    (episode_id, \"timestamp\", content, tags, embedding, embedding_version, metadata, agent_id) FROM STDIN";

/// Suppresses the notice that a database does not exist.
const QUIET: &str = "SET client_min_messages = warning";

/// The agent of the rows.
pub(crate) const AGENT: &str = "bench";

/// The benchmark's database. Dropping it drops the database.
pub(crate) struct Fixture {
    pub(crate) server: Server,
    /// The number of its rows.
    pub(crate) rows: i64,
    stop: Stop,
}

impl Fixture {
    /// Creates it with the tables and indexes of the memory, filled as in `data`. Three in ten rows
    /// are old and have another type, so that a purge has something to forget.
    ///
    /// # Errors
    /// Unavailable (69) if the server, Docker or nexus-embed does not answer.
    pub(crate) fn filled(server: &ServerArgs, data: &Data, stop: &Stop, report: &mut Report) -> Result<Self> {
        let mut fixture = Self::empty(server, stop)?;
        fixture.rows = i64::from(data.episodes);
        let control = fixture.control()?;
        let row = control.row(
            "asking for versions",
            "SELECT pg_catalog.current_setting('server_version'), \
             (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'vector')",
            &[],
        )?;
        report.versions.insert("PostgreSQL".to_owned(), row.get(0));
        report.versions.insert("pgvector".to_owned(), row.get(1));
        report.set("episodes", data.episodes);
        report.set("seed", data.seed);
        report.set("vectors", data.kind());
        control.run("preparing the benchmark", DROP_VECTOR_INDEX)?;
        fixture.fill(data)?;
        control.run("building the vector index", VECTOR_INDEX)?;
        control.run("gathering statistics", "VACUUM (ANALYZE)")?;
        control.run("writing a checkpoint", "CHECKPOINT")?;
        Ok(fixture)
    }

    /// Creates it with the tables of the memory, in the container, as nexus-stack does for the live
    /// database.
    fn empty(args: &ServerArgs, stop: &Stop) -> Result<Self> {
        let settings = ServerSettings {
            host: args.host.clone(),
            port: args.port,
            user: args.user.clone(),
            database: NAME.to_owned(),
        };
        let server = Server::from_settings(&settings)?.named(APPLICATION);
        let fixture = Self { server, rows: 0, stop: stop.clone() };
        let control = Control::beside(&fixture.server, NAME, stop)?;
        control.run("preparing the session", QUIET)?;
        control.run("removing the database of an earlier run", &drop_sql(NAME))?;
        control.run("creating the benchmark's database", &format!("CREATE DATABASE {NAME}"))?;
        let doing =
            || format!("creating the tables of database {NAME} (docker exec nexus-postgres migrate.sh)");
        let setting = format!("NEXUS_PG_DATABASE={NAME}");
        let output = Command::new("docker")
            .env("DOCKER_HOST", nexus_docker_client::HOST)
            .env_remove("DOCKER_CONTEXT")
            .args(["exec", "--env", &setting, "nexus-postgres", "bash", "/nexus/migrate.sh"])
            .output()
            .or_fail(Exit::Unavailable, doing)?;
        if output.status.success() {
            return Ok(fixture);
        }
        let error =
            String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("no error message").to_owned();
        Err(Failure::new(Exit::Unavailable, doing()).because(error))
    }

    /// Opens a session in it.
    pub(crate) fn control(&self) -> Result<Control> {
        Control::open(&self.server, NAME, &self.stop)
    }

    fn fill(&self, data: &Data) -> Result<()> {
        let mut maker = Maker::new(data)?;
        let mut session = RawSession::connect(&self.server, NAME, APPLICATION, &self.stop)?;
        let (mut left, mut pending, mut sent) = (data.episodes, Vec::new(), 0);
        session.copy_in("filling the benchmark's database", COPY, |buffer| {
            self.stop.check()?;
            while pending.len() - sent < buffer.len() && left > 0 {
                pending.drain(..sent);
                sent = 0;
                let rows = maker.rows(left.min(50) as usize)?;
                left -= u32::try_from(rows.len()).unwrap_or(left);
                for row in &rows {
                    row.write_to(&mut pending);
                }
            }
            let length = buffer.len().min(pending.len() - sent);
            buffer[..length].copy_from_slice(&pending[sent..sent + length]);
            sent += length;
            Ok(length)
        })?;
        Ok(())
    }

    /// Drops database `name` of this server, if it exists.
    pub(crate) fn drop_database(&self, name: &str) -> Result<()> {
        // Even after a signal.
        let control = Control::beside(&self.server, name, &Stop::default())?;
        control.run("preparing the session", QUIET)?;
        control.run("removing a database of the benchmark", &drop_sql(name))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Err(failure) = self.drop_database(NAME) {
            log::warn!("{failure}. The next run of nexus-bench removes the database");
        }
    }
}

fn drop_sql(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}
