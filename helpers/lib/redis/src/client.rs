//! A connection to Redis for commands, and the errors of Redis.

use std::path::Path;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::stop::Stop;
use redis::{Connection, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult};
use secrecy::{ExposeSecret, SecretString};

/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The number of keys per SCAN.
const KEYS_AT_ONCE: usize = 1000;

/// Connects to Redis at `socket` and logs in. `doing` begins the error.
///
/// # Errors
/// Unavailable (69), or Permission (77) when it refuses the password.
pub fn connect(socket: &Path, password: &SecretString, doing: &str) -> Result<Connection> {
    let login = RedisConnectionInfo::default().set_password(password.expose_secret()).set_skip_set_lib_name();
    let connection = ConnectionAddr::Unix(socket.to_owned())
        .into_connection_info()
        .map(|info| info.set_redis_settings(login))
        .and_then(redis::Client::open)
        .and_then(|client| client.get_connection_with_timeout(PATIENCE))
        .and_then(|connection| connection.set_read_timeout(Some(PATIENCE)).map(|()| connection));
    connection.map_err(|error| failed(doing, error))
}

/// Turns an error of Redis into a failure with advice.
pub fn failed(doing: &str, error: RedisError) -> Failure {
    let refused = matches!(error.kind(), redis::ErrorKind::AuthenticationFailed)
        || error.code().is_some_and(|code| matches!(code, "WRONGPASS" | "NOAUTH" | "NOPERM"));
    if refused {
        return Failure::new(Exit::Permission, doing)
            .because("it refuses the password")
            .advise("Check the credential redis_password against the file redis_acl beside it");
    }
    Failure::new(Exit::Unavailable, doing).because(error).advise(
        "Is the stack up? systemctl status nexus-stack; if you use no Redis, set NEXUS_REDIS_COPIES=none and leave NEXUS_REDIS_TTL empty",
    )
}

/// Passes the keys that begin with `prefix` to `each`, about a thousand at a time. `doing` begins
/// the error.
///
/// # Errors
/// TryLater (75) when stopped; those of Redis and of `each`.
pub fn scan(
    connection: &mut Connection,
    prefix: &str,
    doing: &str,
    stop: &Stop,
    mut each: impl FnMut(&mut Connection, &[Vec<u8>]) -> RedisResult<()>,
) -> Result<()> {
    let pattern = format!("{}*", escaped(prefix));
    let mut scan_from = |cursor: u64| {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(KEYS_AT_ONCE);
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query(connection)?;
        each(connection, &keys).map(|()| next)
    };
    let mut cursor = 0;
    loop {
        stop.check()?;
        cursor = scan_from(cursor).map_err(|error| failed(doing, error))?;
        if cursor == 0 {
            return Ok(());
        }
    }
}

/// Escapes a prefix for a pattern of SCAN, in which some characters are special.
fn escaped(prefix: &str) -> String {
    prefix.chars().flat_map(|c| if "*?[]\\^-".contains(c) { vec!['\\', c] } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_prefix_matches_itself() {
        assert_eq!(escaped("a*[b]?:"), "a\\*\\[b\\]\\?:");
    }
}
