//! One question in one round trip: the transaction's begin, whose it is, the statements and the commit are sent at once,
//! and PostgreSQL works them off in their order (its manual, "Pipeline Mode"; tokio-postgres, "Pipelining").

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use deadpool_postgres::Object;
use deadpool_postgres::tokio_postgres::types::ToSql;
use deadpool_postgres::tokio_postgres::{Error, Row, Statement};

use crate::memory::error::DbError;
use crate::memory::pool::Database;

/// Row-level security compares every row's agent with this setting; it ends with the transaction.
const SET_AGENT: &str = "SELECT set_config('nexus.agent_id', $1, true)";

/// A value of a statement.
pub(crate) type Value<'a> = &'a (dyn ToSql + Sync);

/// A statement and its values.
pub(crate) struct Step<'a> {
    /// Prepared once a connection.
    pub(crate) sql: &'a str,
    /// In the order of `$1`, `$2`.
    pub(crate) values: Vec<Value<'a>>,
}

impl<'a> Step<'a> {
    /// `sql` with `values`.
    pub(crate) fn new(sql: &'a str, values: Vec<Value<'a>>) -> Self {
        Self { sql, values }
    }
}

impl Database {
    /// Asks as `agent`, in a transaction that writes nothing. Tried twice where the connection had broken.
    ///
    /// # Errors
    /// The first step's that failed.
    pub(crate) async fn read(&self, agent: &str, steps: &[Step<'_>]) -> Result<Vec<Vec<Row>>, DbError> {
        match self.transaction(agent, "BEGIN READ ONLY", steps).await {
            Err(error) if error.is_broken() => self.transaction(agent, "BEGIN READ ONLY", steps).await,
            answer => answer,
        }
    }

    /// The same for one step.
    ///
    /// # Errors
    /// Its own.
    pub(crate) async fn rows(
        &self,
        agent: &str,
        sql: &str,
        values: Vec<Value<'_>>,
    ) -> Result<Vec<Row>, DbError> {
        let steps = [Step::new(sql, values)];
        Ok(self.read(agent, &steps).await?.pop().unwrap_or_default())
    }

    /// Asks as `agent`, in a transaction that writes. When this gives rows, all is on the disk; when a step fails, nothing
    /// is done.
    ///
    /// # Errors
    /// The first step's that failed; after [`DbError::Broken`] it may have been done.
    pub(crate) async fn write(&self, agent: &str, steps: &[Step<'_>]) -> Result<Vec<Vec<Row>>, DbError> {
        self.transaction(agent, "BEGIN", steps).await
    }

    async fn transaction(
        &self,
        agent: &str,
        begin: &str,
        steps: &[Step<'_>],
    ) -> Result<Vec<Vec<Row>>, DbError> {
        let connection = self.connection().await?;
        let asking = pipelined(&connection, agent, begin, steps);
        if let Ok(answer) = tokio::time::timeout(self.patience, asking).await {
            return answer;
        }
        // Not back into the pool: nobody knows what this one still says.
        drop(Object::take(connection));
        Err(DbError::Down("it does not answer".to_owned()))
    }
}

async fn pipelined(
    connection: &Object,
    agent: &str,
    begin: &str,
    steps: &[Step<'_>],
) -> Result<Vec<Vec<Row>>, DbError> {
    let set_agent = connection.prepare_cached(SET_AGENT).await?;
    let mut statements: Vec<Statement> = Vec::with_capacity(steps.len());
    for step in steps {
        statements.push(connection.prepare_cached(step.sql).await?);
    }
    let agent: [Value<'_>; 1] = [&agent];
    let mut answers: Vec<Answer<'_>> = Vec::with_capacity(steps.len() + 3);
    answers.push(Box::pin(async { connection.batch_execute(begin).await.map(|()| Vec::new()) }));
    answers.push(Box::pin(connection.query(&set_agent, &agent)));
    for (step, statement) in steps.iter().zip(&statements) {
        answers.push(Box::pin(connection.query(statement, &step.values)));
    }
    // After an error this is a ROLLBACK.
    answers.push(Box::pin(async { connection.batch_execute("COMMIT").await.map(|()| Vec::new()) }));
    let mut rows = in_order(answers).await.into_iter().collect::<Result<Vec<_>, Error>>()?;
    rows.pop();
    Ok(rows.split_off(2))
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

/// Awaits all of `futures`, each polled first in its place: a statement is sent when its future is first polled.
/// (`join_all` of futures-util polls more than thirty in no certain order.)
async fn in_order(futures: Vec<Answer<'_>>) -> Vec<Result<Vec<Row>, Error>> {
    let mut futures: Vec<Option<Answer<'_>>> = futures.into_iter().map(Some).collect();
    let mut outputs: Vec<Option<Result<Vec<Row>, Error>>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut is_pending = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            let Some(waiting) = future else { continue };
            match waiting.as_mut().poll(context) {
                Poll::Ready(answer) => {
                    *output = Some(answer);
                    *future = None;
                }
                Poll::Pending => is_pending = true,
            }
        }
        if is_pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
