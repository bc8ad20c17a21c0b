//! A control connection for synchronous code. It waits for each answer, and checks for a stop while
//! it waits.

use std::pin::pin;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::stop::Stop;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Row};

use crate::control;
use crate::failure::from_client;
use crate::objects;
use crate::objects::Objects;
use crate::priority::{STAND_BACK, STANDING_BACK};
use crate::server::Server;

/// The interval between two checks for a stop.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// How long to wait for a cancelled statement to end: a server that hangs must not delay the job.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns a runtime for synchronous code.
///
/// # Errors
/// Software (70).
pub fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().or_fail(Exit::Software, || "starting the runtime")
}

/// A session on the server.
pub struct Control {
    runtime: Runtime,
    client: Client,
    stop: Stop,
}

impl Control {
    /// Connects to `database`.
    ///
    /// # Errors
    /// Those of [`control::connect`].
    pub fn open(server: &Server, database: &str, stop: &Stop) -> Result<Self> {
        let runtime = runtime()?;
        let client = runtime.block_on(control::connect(server, database, server.application))?;
        Ok(Self { runtime, client, stop: stop.clone() })
    }

    /// Opens a session in a database other than `avoid`, for statements that cannot run inside it.
    ///
    /// # Errors
    /// Those of [`Control::open`].
    pub fn beside(server: &Server, avoid: &str, stop: &Stop) -> Result<Self> {
        Self::open(server, if avoid == "postgres" { "template1" } else { "postgres" }, stop)
    }

    /// Lowers the session's priority in the server. If that is not allowed (see `priority`), logs
    /// it and goes on.
    ///
    /// # Errors
    /// TryLater (75) when stopped; Unavailable (69) when the connection breaks.
    pub fn stand_back(&self) -> Result<()> {
        match self.try_run(STAND_BACK)? {
            Ok(()) => {}
            Err(error) if error.as_db_error().is_some() => {
                log::info!("{}", from_client(STANDING_BACK, &error));
            }
            Err(error) => return Err(from_client(STANDING_BACK, &error)),
        }
        Ok(())
    }

    /// Runs statements and discards their rows.
    ///
    /// # Errors
    /// Errors of the server.
    pub fn run(&self, doing: &str, sql: &str) -> Result<()> {
        self.try_run(sql)?.map_err(|error| from_client(doing, &error))
    }

    /// Like [`Self::run`], for callers that inspect the server's error.
    ///
    /// # Errors
    /// TryLater (75) when stopped.
    pub fn try_run(&self, sql: &str) -> Result<std::result::Result<(), Error>> {
        self.wait(self.client.batch_execute(sql))
    }

    /// Runs a query.
    ///
    /// # Errors
    /// Errors of the server.
    pub fn rows(&self, doing: &str, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.wait(self.client.query(sql, values))?.map_err(|error| from_client(doing, &error))
    }

    /// Runs a query, for callers that inspect the server's error.
    ///
    /// # Errors
    /// TryLater (75) when stopped.
    pub fn try_rows(&self, sql: &str) -> Result<std::result::Result<Vec<Row>, Error>> {
        self.wait(self.client.query(sql, &[]))
    }

    /// Runs statements, and calls `meanwhile` four times a second until they are done.
    ///
    /// # Errors
    /// Errors of the server.
    pub fn run_while(&self, doing: &str, sql: &str, meanwhile: impl FnMut()) -> Result<()> {
        self.try_run_while(sql, meanwhile)?.map_err(|error| from_client(doing, &error))
    }

    /// Like [`Self::run_while`], for callers that inspect the server's error.
    ///
    /// # Errors
    /// TryLater (75) when stopped.
    pub fn try_run_while(
        &self,
        sql: &str,
        meanwhile: impl FnMut(),
    ) -> Result<std::result::Result<(), Error>> {
        self.wait_while(self.client.batch_execute(sql), meanwhile)
    }

    /// Runs a query that returns one row.
    ///
    /// # Errors
    /// Errors of the server.
    pub fn row(&self, doing: &str, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        let row = self.rows(doing, sql, values)?.into_iter().next();
        row.ok_or_else(|| Failure::new(Exit::Software, doing).because("the server returned no row"))
    }

    /// Lists the objects of the database.
    ///
    /// # Errors
    /// Errors of the server.
    pub fn objects(&self) -> Result<Objects> {
        self.runtime.block_on(objects::list(&self.client))
    }

    fn wait<T>(
        &self,
        answer: impl Future<Output = std::result::Result<T, Error>>,
    ) -> Result<std::result::Result<T, Error>> {
        self.wait_while(answer, || ())
    }

    fn wait_while<T>(
        &self,
        answer: impl Future<Output = std::result::Result<T, Error>>,
        mut meanwhile: impl FnMut(),
    ) -> Result<std::result::Result<T, Error>> {
        self.runtime.block_on(async {
            let mut answer = pin!(answer);
            loop {
                if let Ok(answer) = tokio::time::timeout(CHECK_INTERVAL, &mut answer).await {
                    return Ok(answer);
                }
                if let Err(stopped) = self.stop.check() {
                    self.cancel(answer).await;
                    return Err(stopped);
                }
                meanwhile();
            }
        })
    }

    /// Cancels the statement in the server and waits for its end. A CREATE DATABASE that went on
    /// would leave a database behind after the cleanup.
    async fn cancel<T>(&self, answer: impl Future<Output = std::result::Result<T, Error>>) {
        let cancelled = async {
            self.client.cancel_token().cancel_query(NoTls).await?;
            // The result does not matter: the statement has ended.
            Ok::<_, Error>(answer.await.is_ok())
        };
        match tokio::time::timeout(CANCEL_TIMEOUT, cancelled).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => log::info!("{}", from_client("cancelling a statement", &error)),
            Err(_) => log::info!("cancelling a statement: the server does not answer"),
        }
    }
}
