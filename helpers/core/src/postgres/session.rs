//! A control connection for code that is not asynchronous: it waits for each answer, and notices a stop while it does.

use std::pin::pin;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::{Client, Error, Row};

use crate::failure::{Exit, Failure, OrFail, Result};
use crate::postgres::control;
use crate::postgres::failure::from_client;
use crate::postgres::server::Server;
use crate::stop::Stop;

/// How long an answer is waited for before a stop is looked for.
const GLANCE: Duration = Duration::from_millis(250);

/// A session.
#[derive(Debug)]
pub struct Session {
    runtime: Runtime,
    client: Client,
    stop: Stop,
}

impl Session {
    /// Connects to `database` as `application`. Texts of numbers and times are the same whatever the server's settings,
    /// row-level security hides nothing silently, and what the session waits for ends when this process does.
    ///
    /// # Errors
    /// As [`control::connect`].
    pub fn open(server: &Server, database: &str, application: &str, stop: &Stop) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .or_fail(Exit::Software, || "starting the runtime")?;
        let client = runtime.block_on(control::connect(server, database, application))?;
        let session = Self { runtime, client, stop: stop.clone() };
        session.run(
            "preparing the session",
            "SET row_security = off; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; \
             SET extra_float_digits = 3; SET bytea_output = 'hex'; SET client_connection_check_interval = '1s'",
        )?;
        Ok(session)
    }

    /// Runs statements whose rows, if any, do not matter.
    ///
    /// # Errors
    /// The server's.
    pub fn run(&self, doing: &str, sql: &str) -> Result<()> {
        self.try_run(sql)?.map_err(|error| from_client(doing, &error))
    }

    /// The same, for callers that want to look at the server's error.
    ///
    /// # Errors
    /// TryLater (75) when stopped.
    pub fn try_run(&self, sql: &str) -> Result<std::result::Result<(), Error>> {
        self.wait(self.client.batch_execute(sql), || ())
    }

    /// Runs statements, and calls `meanwhile` four times a second until they are done.
    ///
    /// # Errors
    /// The server's.
    pub fn run_while(&self, doing: &str, sql: &str, meanwhile: impl FnMut()) -> Result<()> {
        self.wait(self.client.batch_execute(sql), meanwhile)?.map_err(|error| from_client(doing, &error))
    }

    /// Runs a query.
    ///
    /// # Errors
    /// The server's.
    pub fn rows(&self, doing: &str, sql: &str) -> Result<Vec<Row>> {
        self.try_rows(sql)?.map_err(|error| from_client(doing, &error))
    }

    /// The same, for callers that want to look at the server's error.
    ///
    /// # Errors
    /// TryLater (75) when stopped.
    pub fn try_rows(&self, sql: &str) -> Result<std::result::Result<Vec<Row>, Error>> {
        self.wait(self.client.query(sql, &[]), || ())
    }

    /// Runs a query that gives one row.
    ///
    /// # Errors
    /// The server's.
    pub fn row(&self, doing: &str, sql: &str) -> Result<Row> {
        let row = self.rows(doing, sql)?.into_iter().next();
        row.ok_or_else(|| Failure::new(Exit::Software, doing).because("the server gave no row"))
    }

    fn wait<T>(
        &self,
        answer: impl Future<Output = std::result::Result<T, Error>>,
        mut meanwhile: impl FnMut(),
    ) -> Result<std::result::Result<T, Error>> {
        self.runtime.block_on(async {
            let mut answer = pin!(answer);
            loop {
                if let Ok(answer) = tokio::time::timeout(GLANCE, &mut answer).await {
                    return Ok(answer);
                }
                self.stop.check()?;
                meanwhile();
            }
        })
    }
}
