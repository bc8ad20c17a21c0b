//! Runs a transaction in one round trip: sends BEGIN, the agent, the statements and COMMIT at once;
//! PostgreSQL executes them in order (its manual, "Pipeline Mode"; tokio-postgres, "Pipelining").

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use deadpool_postgres::Object;
use deadpool_postgres::tokio_postgres::types::ToSql;
use deadpool_postgres::tokio_postgres::{Error, Row, Statement};

use crate::memory::error::DbError;
use crate::memory::pool::Database;

/// Row-level security compares each row's agent with this setting, which lasts for the transaction.
const SET_AGENT: &str = "SELECT set_config('nexus.agent_id', $1, true)";

/// A value of a statement.
pub(crate) type Value<'a> = &'a (dyn ToSql + Sync);

/// A statement and its values.
pub(crate) struct Step<'a> {
    /// The statement, which is prepared once on each connection.
    pub(crate) sql: &'a str,
    /// The values, in the order of `$1`, `$2`.
    pub(crate) values: Vec<Value<'a>>,
}

impl<'a> Step<'a> {
    /// Creates a step that runs `sql` with `values`.
    pub(crate) fn new(sql: &'a str, values: Vec<Value<'a>>) -> Self {
        Self { sql, values }
    }
}

impl Database {
    /// Runs `steps` as `agent` in a read-only transaction. Tries twice if the connection was
    /// broken.
    ///
    /// # Errors
    /// The error of the first step that failed.
    pub(crate) async fn read(&self, agent: &str, steps: &[Step<'_>]) -> Result<Vec<Vec<Row>>, DbError> {
        match self.transaction(agent, "BEGIN READ ONLY", steps).await {
            Err(error) if error.is_broken() => self.transaction(agent, "BEGIN READ ONLY", steps).await,
            result => result,
        }
    }

    /// Runs one step as `agent` in a read-only transaction.
    pub(crate) async fn rows(
        &self,
        agent: &str,
        sql: &str,
        values: Vec<Value<'_>>,
    ) -> Result<Vec<Row>, DbError> {
        let steps = [Step::new(sql, values)];
        Ok(self.read(agent, &steps).await?.pop().unwrap_or_default())
    }

    /// Runs `steps` as `agent` in a transaction that writes. On success all is on disk; if a step
    /// fails, nothing is changed.
    ///
    /// # Errors
    /// The error of the first step that failed. After [`DbError::Broken`], the transaction may have
    /// been committed.
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
        let pipeline = pipelined(&connection, agent, begin, steps);
        if let Ok(result) = tokio::time::timeout(self.limit, pipeline).await {
            return result;
        }
        // Not back into the pool, because the server may still reply on it.
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
    let mut queries: Vec<Query<'_>> = Vec::with_capacity(steps.len() + 3);
    queries.push(Box::pin(async { connection.batch_execute(begin).await.map(|()| Vec::new()) }));
    queries.push(Box::pin(connection.query(&set_agent, &agent)));
    for (step, statement) in steps.iter().zip(&statements) {
        queries.push(Box::pin(connection.query(statement, &step.values)));
    }
    // After an error this is a ROLLBACK.
    queries.push(Box::pin(async { connection.batch_execute("COMMIT").await.map(|()| Vec::new()) }));
    let mut rows = in_order(queries).await.into_iter().collect::<Result<Vec<_>, Error>>()?;
    rows.pop();
    Ok(rows.split_off(2))
}

type Query<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

/// Awaits all of `futures`. Polls them in order, because the first poll sends the statement.
/// (`join_all` of futures-util does not keep the order of more than thirty.)
async fn in_order(futures: Vec<Query<'_>>) -> Vec<Result<Vec<Row>, Error>> {
    let mut futures: Vec<Option<Query<'_>>> = futures.into_iter().map(Some).collect();
    let mut outputs: Vec<Option<Result<Vec<Row>, Error>>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut is_pending = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            let Some(waiting) = future else { continue };
            match waiting.as_mut().poll(context) {
                Poll::Ready(result) => {
                    *output = Some(result);
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
