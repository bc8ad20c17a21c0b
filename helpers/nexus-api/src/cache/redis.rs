//! The connection to Redis: one, shared, made when it is needed; when it breaks, nobody waits for it.

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

/// How long an answer is waited for: what is in the cache takes a tenth of a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

/// After a failure nobody tries for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Its Redis user, which may use only the commands of this module and its own keys (install.d/setup/secrets.sh).
const USER: &str = "nexus-api";

/// Redis does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Down;

/// The way to Redis.
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
    /// At `socket`; connects when it is first asked.
    ///
    /// # Errors
    /// As [`credentials::read`].
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
            .or_fail(Exit::Settings, || format!("naming Redis at {}", socket.display()))?;
        Ok(Self { client, state: Mutex::default() })
    }

    /// Asks Redis.
    ///
    /// # Errors
    /// When it cannot be reached, does not answer in time, or says no.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> std::result::Result<T, Down> {
        let mut connection = self.connection().await?;
        self.answer(command.query_async(&mut connection).await).await
    }

    /// Sends several commands at once.
    ///
    /// # Errors
    /// As [`Redis::ask`]; when it says no to one of them, the others may be done.
    pub(crate) async fn ask_all(&self, commands: &Pipeline) -> std::result::Result<(), Down> {
        let mut connection = self.connection().await?;
        self.answer(commands.exec_async(&mut connection).await).await
    }

    async fn connection(&self) -> std::result::Result<MultiplexedConnection, Down> {
        // Held while one connects: the others wait for the same, half a second at most.
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        if state.failed.is_some_and(|failed| failed.elapsed() < PAUSE) {
            return Err(Down);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
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

    /// A refusal is one command's; any other error means a new connection.
    async fn answer<T>(&self, answer: RedisResult<T>) -> std::result::Result<T, Down> {
        let error = match answer {
            Ok(answer) => return Ok(answer),
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
