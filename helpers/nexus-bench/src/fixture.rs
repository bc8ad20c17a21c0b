//! The database of its own: made, filled, and dropped, whatever comes of the measuring.

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

/// Its name. Nobody else's may be called that: one that is there was left by a run that was killed.
pub(crate) const NAME: &str = "nexus_bench";

/// The vector index, which is made when the rows are there.
const DROP_VECTOR_INDEX: &str = "DROP INDEX nexus_memory.zep_embedding_hnsw";
const VECTOR_INDEX: &str = "CREATE INDEX zep_embedding_hnsw ON nexus_memory.zep_episodic_memory \
    USING hnsw (embedding public.vector_cosine_ops) WITH (m = 16, ef_construction = 64)";

/// The columns that are filled.
const COPY: &str = "COPY nexus_memory.zep_episodic_memory \
    (episode_id, \"timestamp\", content, tags, embedding, embedding_version, metadata, agent_id) FROM STDIN";

/// That a database is not there is no news.
const QUIET: &str = "SET client_min_messages = warning";

/// Whose the rows are.
pub(crate) const AGENT: &str = "bench";

/// The database, while it is there.
pub(crate) struct Fixture {
    pub(crate) server: Server,
    /// Rows that it is filled with.
    pub(crate) rows: i64,
    stop: Stop,
}

impl Fixture {
    /// Makes it, with the tables of the memory, filled as `data` says and with all its indexes. Three in ten rows are old
    /// and of another type, so that a purge has something to forget.
    ///
    /// # Errors
    /// Unavailable (69) when the server, Docker or nexus-embed does not answer.
    pub(crate) fn filled(place: &ServerArgs, data: &Data, stop: &Stop, report: &mut Report) -> Result<Self> {
        let mut fixture = Self::empty(place, stop)?;
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

    /// Makes it, with the tables of the memory: as nexus-stack makes those of the living database, in the container.
    fn empty(place: &ServerArgs, stop: &Stop) -> Result<Self> {
        let settings = ServerSettings {
            host: place.host.clone(),
            port: place.port,
            user: place.user.clone(),
            database: NAME.to_owned(),
        };
        let server = Server::from_settings(&settings)?.named(APPLICATION);
        let fixture = Self { server, rows: 0, stop: stop.clone() };
        let control = Control::beside(&fixture.server, NAME, stop)?;
        control.run("preparing the session", QUIET)?;
        control.run("removing what an earlier run has left", &drop_sql(NAME))?;
        control.run("making the benchmark's database", &format!("CREATE DATABASE {NAME}"))?;
        let doing =
            || format!("making the tables of database {NAME} (docker exec nexus-postgres migrate.sh)");
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
        let said =
            String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it said nothing").to_owned();
        Err(Failure::new(Exit::Unavailable, doing()).because(said))
    }

    /// A session in it.
    ///
    /// # Errors
    /// The server's.
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

    /// Drops database `name` of this server, if it is there.
    ///
    /// # Errors
    /// The server's.
    pub(crate) fn drop_database(&self, name: &str) -> Result<()> {
        // Also after a stop.
        let control = Control::beside(&self.server, name, &Stop::default())?;
        control.run("preparing the session", QUIET)?;
        control.run("removing a database of the benchmark", &drop_sql(name))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Err(failure) = self.drop_database(NAME) {
            log::warn!("{failure}. It is still there: the next run of nexus-bench removes it");
        }
    }
}

fn drop_sql(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}
