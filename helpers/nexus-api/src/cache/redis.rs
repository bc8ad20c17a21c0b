//! The connection to Redis. All calls share it. It opens on first use; while Redis is down, no call
//! waits for it.

use std::path::Path;
use std::time::{Duration, Instant};

use nexus_cli::credentials;
use nexus_cli::failure::{Exit, OrFail, Result};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisResult,
};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

/// Time limit for a reply. Redis takes a tenth of a millisecond for one from the cache.
const LIMIT: Duration = Duration::from_millis(500);

/// Time after a failure during which no call tries to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// The Redis user of nexus-api. It may use only the commands of this module and its own keys
/// (install.d/setup/secrets.sh).
const USER: &str = "nexus-api";

/// Redis does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Down;

/// A client of Redis.
pub(crate) struct Redis {
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    failed: Option<Instant>,
}

impl Redis {
    /// Creates a client of Redis at `socket`, without connecting to it.
    ///
    /// # Errors
    /// Same as [`credentials::read`].
    pub(crate) fn new(socket: &Path) -> Result<Self> {
        let password = credentials::read("redis_api_password")?;
        let login = RedisConnectionInfo::default()
            .set_username(USER)
            .set_password(password.expose_secret())
            .set_skip_set_lib_name();
        let client = ConnectionAddr::Unix(socket.to_owned())
            .into_connection_info()
            .map(|info| info.set_redis_settings(login))
            .and_then(Client::open)
            .or_fail(Exit::Settings, || format!("opening a client of Redis at {}", socket.display()))?;
        Ok(Self { client, state: Mutex::default() })
    }

    /// Sends a command and returns the reply.
    ///
    /// # Errors
    /// If Redis cannot be reached, does not reply in time, or refuses.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> std::result::Result<T, Down> {
        let mut connection = self.connection().await?;
        self.reply(command.query_async(&mut connection).await).await
    }

    /// Sends several commands at once.
    ///
    /// # Errors
    /// Same as [`Redis::ask`]. If Redis refuses one of them, it may have executed the others.
    pub(crate) async fn ask_all(&self, commands: &Pipeline) -> std::result::Result<(), Down> {
        let mut connection = self.connection().await?;
        self.reply(commands.exec_async(&mut connection).await).await
    }

    async fn connection(&self) -> std::result::Result<MultiplexedConnection, Down> {
        // Locked while one call connects; the others wait for that connection, half a second at
        // most.
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        if state.failed.is_some_and(|failed| failed.elapsed() < PAUSE) {
            return Err(Down);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT));
        match self.client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(connection) => {
                if state.failed.take().is_some() {
                    log::info!("Redis answers");
                }
                state.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                if state.failed.replace(Instant::now()).is_none() {
                    log::warn!("Redis cannot be reached, so nothing is cached: {error}");
                }
                Err(Down)
            }
        }
    }

    /// Returns the reply. After an error other than a refusal, the next call opens a new
    /// connection.
    async fn reply<T>(&self, reply: RedisResult<T>) -> std::result::Result<T, Down> {
        let error = match reply {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        if let Some(refusals) = error.clone().into_server_errors() {
            let code = refusals.first().map_or("", |(_, refusal)| refusal.code());
            log::warn!("Redis refuses a command: {code}");
            return Err(Down);
        }
        let mut state = self.state.lock().await;
        state.connection = None;
        if state.failed.replace(Instant::now()).is_none() {
            log::warn!("Redis does not answer, so nothing is cached: {error}");
        }
        Err(Down)
    }
}
