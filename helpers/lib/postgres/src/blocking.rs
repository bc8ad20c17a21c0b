//! A control connection for code that is not asynchronous: it waits for each answer, and notices a stop while it does.

use std::pin::pin;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::stop::Stop;
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Row};

use crate::control;
use crate::failure::from_client;
use crate::objects;
use crate::objects::Objects;
use crate::priority::{STAND_BACK, STANDING_BACK};
use crate::server::Server;

/// How long an answer is waited for before a stop is looked for.
const GLANCE: Duration = Duration::from_millis(250);

/// How long a statement may take to end that is no longer wanted: a server that stands still must not hold a job up.
const CALLED_OFF: Duration = Duration::from_secs(5);

/// A session.
pub struct Control {
    runtime: Runtime,
    client: Client,
    stop: Stop,
}

impl Control {
    /// Connects to `database`.
    ///
    /// # Errors
    /// As [`control::connect`].
    pub fn open(server: &Server, database: &str, stop: &Stop) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .or_fail(Exit::Software, || "starting the runtime")?;
        let client = runtime.block_on(control::connect(server, database, server.application))?;
        Ok(Self { runtime, client, stop: stop.clone() })
    }

    /// A session in a database that is not `avoid`, for what cannot be done from inside it.
    ///
    /// # Errors
    /// As [`Control::open`].
    pub fn beside(server: &Server, avoid: &str, stop: &Stop) -> Result<Self> {
        Self::open(server, if avoid == "postgres" { "template1" } else { "postgres" }, stop)
    }

    /// Lets all others go first in the server; where it may not (see `priority`), it says so and goes on.
    ///
    /// # Errors
    /// When stopped, or the connection breaks.
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
        self.wait(self.client.batch_execute(sql))
    }

    /// Runs a query.
    ///
    /// # Errors
    /// The server's.
    pub fn rows(&self, doing: &str, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.wait(self.client.query(sql, values))?.map_err(|error| from_client(doing, &error))
    }

    /// Runs a query, for callers that want to look at the server's error.
    ///
    /// # Errors
    /// TryLater (75) when stopped.
    pub fn try_rows(&self, sql: &str) -> Result<std::result::Result<Vec<Row>, Error>> {
        self.wait(self.client.query(sql, &[]))
    }

    /// Runs statements, and calls `meanwhile` four times a second until they are done.
    ///
    /// # Errors
    /// The server's.
    pub fn run_while(&self, doing: &str, sql: &str, meanwhile: impl FnMut()) -> Result<()> {
        self.try_run_while(sql, meanwhile)?.map_err(|error| from_client(doing, &error))
    }

    /// The same, for callers that want to look at the server's error.
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

    /// Runs a query that gives one row.
    ///
    /// # Errors
    /// The server's.
    pub fn row(&self, doing: &str, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        let row = self.rows(doing, sql, values)?.into_iter().next();
        row.ok_or_else(|| Failure::new(Exit::Software, doing).because("the server gave no row"))
    }

    /// Lists the objects of the database.
    ///
    /// # Errors
    /// The server's.
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
                if let Ok(answer) = tokio::time::timeout(GLANCE, &mut answer).await {
                    return Ok(answer);
                }
                if let Err(stopped) = self.stop.check() {
                    self.call_off(answer).await;
                    return Err(stopped);
                }
                meanwhile();
            }
        })
    }

    /// Has the server end the statement before its time, and waits for that: a CREATE DATABASE that goes on would be there after
    /// everything has been put away.
    async fn call_off<T>(&self, answer: impl Future<Output = std::result::Result<T, Error>>) {
        let called_off = async {
            self.client.cancel_token().cancel_query(NoTls).await?;
            // Whether it was done or not: either way it has ended.
            Ok::<_, Error>(answer.await.is_ok())
        };
        match tokio::time::timeout(CALLED_OFF, called_off).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => log::info!("{}", from_client("calling a statement off", &error)),
            Err(_) => log::info!("calling a statement off: the server does not answer"),
        }
    }
}
