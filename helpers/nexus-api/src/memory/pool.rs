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

use crate::APPLICATION;
use crate::args::{Args, Candidates};
use crate::memory::candidates;
use crate::memory::error::DbError;

/// How long a request waits for a connection.
const WAIT: Duration = Duration::from_secs(1);

/// How long connecting may take: a server that hangs takes the connection and says nothing.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

/// All that is said to PostgreSQL goes through here.
pub(crate) struct Database {
    pool: Pool,
    config: Config,
    /// After so long without an answer the server counts as hanging: a little more than it gives itself.
    pub(super) patience: Duration,
}

impl Database {
    /// For the role and the database of `args`; connects when it is first asked.
    ///
    /// # Errors
    /// As [`credentials::read`].
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
            builder = builder.post_create(candidates::by_rows()).pre_recycle(candidates::knows_the_rows());
        }
        let pool = builder
            .max_size(usize::from(args.connections))
            .timeouts(Timeouts { wait: Some(WAIT), create: Some(CONNECT), recycle: Some(CONNECT) })
            .runtime(Runtime::Tokio1)
            .build()
            .or_fail(Exit::Software, || "making the pool of connections to PostgreSQL")?;
        Ok(Self { pool, config, patience: args.timeout + CONNECT })
    }

    /// A connection for one question; it goes back when it is dropped.
    pub(super) async fn connection(&self) -> std::result::Result<Object, DbError> {
        Ok(self.pool.get().await?)
    }

    /// A connection of its own, for what takes long; it ends when the client is dropped.
    pub(super) async fn own_connection(&self) -> std::result::Result<Client, DbError> {
        let connecting = tokio::time::timeout(CONNECT, self.config.connect(NoTls)).await;
        let (client, connection) = connecting
            .map_err(|_| DbError::Down("it does not answer".to_owned()))?
            .map_err(|error| DbError::Down(error.to_string()))?;
        // Its error reaches whoever waits for an answer.
        tokio::spawn(connection);
        Ok(client)
    }

    /// Connections there are, and those in use.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.size.saturating_sub(status.available))
    }
}

/// Switches off in a new session the one limit of the owner that [`session_options`] cannot name.
fn without_foreign_limit() -> Hook {
    Hook::async_fn(|client, _| {
        Box::pin(async move {
            let freed = tokio::time::timeout(CONNECT, client.batch_execute(session::FIRST)).await;
            freed.map_err(|_| HookError::message("it does not answer"))?.map_err(HookError::Backend)
        })
    })
}

/// What every session is set to.
fn session_options(args: &Args) -> String {
    let mut options = vec![
        // What is answered is on the disk.
        "synchronous_commit=on".to_owned(),
        // Whoever forgets to say whose rows sees none.
        "nexus.agent_id=".to_owned(),
        format!("statement_timeout={}", args.timeout.as_millis()),
        "lock_timeout=5000".to_owned(),
        "idle_in_transaction_session_timeout=30000".to_owned(),
        "idle_session_timeout=0".to_owned(),
        // How many rows a tag or a word keeps decides the plan, so each value has its own.
        "plan_cache_mode=force_custom_plan".to_owned(),
        // Two workers more would cost a small machine more than they save a query of milliseconds.
        "max_parallel_workers_per_gather=0".to_owned(),
        "jit=off".to_owned(),
        // A query of stop words alone is no reason for a notice.
        "client_min_messages=error".to_owned(),
        // Filters, and the agent, count after the index has found: go on until enough are left (pgvector 0.8, README).
        "hnsw.iterative_scan=relaxed_order".to_owned(),
    ];
    if let Candidates::Given(number) = args.ef_search {
        options.push(format!("hnsw.ef_search={number}"));
    }
    options.into_iter().map(|setting| format!("-c {setting}")).collect::<Vec<_>>().join(" ")
}
