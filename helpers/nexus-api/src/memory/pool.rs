//! The connections to PostgreSQL.

use std::time::Duration;

use deadpool_postgres::tokio_postgres::{Client, Config, NoTls};
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts,
};
use nexus_cli::credentials;
use nexus_cli::failure::{Exit, OrFail, Result};
use nexus_postgres::session;
use secrecy::ExposeSecret;

use crate::args::{Args, Candidates};
use crate::memory::candidates;
use crate::memory::error::DbError;

/// The name of our sessions in pg_stat_activity.
const APPLICATION: &str = "nexus-api";

/// How long a request waits for a connection.
const WAIT: Duration = Duration::from_secs(1);

/// Time limit for connecting. A server that hangs accepts the connection and does not reply.
const CONNECT: Duration = Duration::from_secs(2);

/// The connections to PostgreSQL.
pub(crate) struct Database {
    pool: Pool,
    config: Config,
    /// Time limit for a reply: a little above the server's own limit. Then it counts as hanging.
    pub(super) limit: Duration,
}

impl Database {
    /// Creates a pool for the role and database in `args`, without connecting.
    ///
    /// # Errors
    /// Same as [`credentials::read`].
    pub(crate) fn new(args: &Args) -> Result<Self> {
        let password = credentials::read("nexus_app_password")?;
        let mut config = Config::new();
        if args.pg_host.starts_with('/') {
            config.host_path(&args.pg_host);
        } else {
            config.host(&args.pg_host);
        }
        config
            .port(args.pg_port)
            .user(&args.pg_user)
            .password(password.expose_secret().as_bytes())
            .dbname(&args.pg_database)
            .application_name(APPLICATION)
            .connect_timeout(CONNECT)
            .options(session_options(args));
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), NoTls, manager_config);
        let mut builder = Pool::builder(manager).post_create(without_foreign_limit());
        if args.ef_search == Candidates::ByRows {
            builder = builder.post_create(candidates::by_rows(CONNECT)).pre_recycle(candidates::is_recent());
        }
        let pool = builder
            .max_size(usize::from(args.connections))
            .timeouts(Timeouts { wait: Some(WAIT), create: Some(CONNECT), recycle: Some(CONNECT) })
            .runtime(Runtime::Tokio1)
            .build()
            .or_fail(Exit::Software, || "making the pool of connections to PostgreSQL")?;
        Ok(Self { pool, config, limit: args.timeout + CONNECT })
    }

    /// Returns a connection for one query. Dropping it returns it to the pool.
    pub(super) async fn connection(&self) -> std::result::Result<Object, DbError> {
        Ok(self.pool.get().await?)
    }

    /// Opens a connection outside the pool, for a long query. Dropping the client closes it.
    pub(super) async fn own_connection(&self) -> std::result::Result<Client, DbError> {
        let connecting = tokio::time::timeout(CONNECT, self.config.connect(NoTls)).await;
        let (client, connection) = connecting
            .map_err(|_| DbError::Down("it does not answer".to_owned()))?
            .map_err(|error| DbError::Down(error.to_string()))?;
        // The client's queries get its error.
        tokio::spawn(connection);
        Ok(client)
    }

    /// Returns the number of connections, and of those in use.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.size.saturating_sub(status.available))
    }
}

/// Runs [`session::FIRST`] in a new session, which removes a limit that [`session_options`] cannot
/// name.
fn without_foreign_limit() -> Hook {
    Hook::async_fn(|client, _| {
        Box::pin(async move {
            let set = tokio::time::timeout(CONNECT, client.batch_execute(session::FIRST)).await;
            set.map_err(|_| HookError::message("it does not answer"))?.map_err(HookError::Backend)
        })
    })
}

/// Returns the settings of every session.
fn session_options(args: &Args) -> String {
    let mut options = vec![
        // A reply means that the episode is on disk.
        "synchronous_commit=on".to_owned(),
        // A query that names no agent sees no rows.
        "nexus.agent_id=".to_owned(),
        format!("statement_timeout={}", args.timeout.as_millis()),
        "lock_timeout=5000".to_owned(),
        "idle_in_transaction_session_timeout=30000".to_owned(),
        "idle_session_timeout=0".to_owned(),
        // The best plan depends on how many rows match the values.
        "plan_cache_mode=force_custom_plan".to_owned(),
        // On a small machine, workers cost more than they save in a query of milliseconds.
        "max_parallel_workers_per_gather=0".to_owned(),
        "jit=off".to_owned(),
        // A query of stop words alone would cause a notice.
        "client_min_messages=error".to_owned(),
        // PostgreSQL applies filters and row-level security after the index scan: scan on until
        // enough rows are left (pgvector 0.8, README).
        "hnsw.iterative_scan=relaxed_order".to_owned(),
    ];
    if let Candidates::Given(number) = args.ef_search {
        options.push(format!("hnsw.ef_search={number}"));
    }
    options.into_iter().map(|setting| format!("-c {setting}")).collect::<Vec<_>>().join(" ")
}
