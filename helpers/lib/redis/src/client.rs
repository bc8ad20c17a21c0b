//! A connection to Redis for commands, and the errors of Redis.

use std::path::Path;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, Result};
use redis::{Connection, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError};
use secrecy::{ExposeSecret, SecretString};

/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

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
        "Is the stack up? systemctl status nexus-stack; without Redis set NEXUS_REDIS_COPIES=none and no NEXUS_REDIS_TTL",
    )
}

/// Escapes a prefix for a pattern of SCAN, in which some characters are special.
pub fn escaped(prefix: &str) -> String {
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
