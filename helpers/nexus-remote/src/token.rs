//! Checks the token for other machines. No output reveals it.

use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, Result};
use secrecy::ExposeSecret;

/// The name of the credential, a file with one token per line.
pub(crate) const CREDENTIAL: &str = "remote_token";

/// The length of the shortest token.
const SHORTEST: usize = 32;

/// Checks that the credential exists and no token is too short.
///
/// # Errors
/// Settings (78) if it does not, or one is; Permission (77).
pub(crate) fn check() -> Result<()> {
    let path = credentials::path_of(CREDENTIAL);
    let fail = |why: String| {
        Err(Failure::new(Exit::Settings, "letting other machines in").because(why).advise(format!(
            "Make one: sh -c 'umask 077 && head -c 32 /dev/urandom | base64 >{}'",
            path.display()
        )))
    };
    if !path.exists() {
        return fail(format!("there is no token for them: {} does not exist", path.display()));
    }
    let text = credentials::read(CREDENTIAL)?;
    let mut tokens = text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty());
    if tokens.any(|token| token.len() < SHORTEST) {
        return fail(format!("a token in {} has fewer than {SHORTEST} characters", path.display()));
    }
    Ok(())
}
