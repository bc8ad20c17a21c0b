//! Bearer tokens: read from credentials, compared with the header `Authorization`.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use nexus_cli::credentials;
use nexus_cli::failure::Result;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// The unit sets a credential to this text if its file does not exist.
const NONE: &str = "none";

/// The shortest token, in bytes. Nobody can guess this many letters and digits at any speed.
pub(super) const SHORTEST: usize = 32;

/// Reads credential `name`, or returns `None` if it does not exist.
///
/// # Errors
/// Same as [`credentials::read`].
pub(super) fn read(name: &str) -> Result<Option<SecretString>> {
    if !credentials::path_of(name).exists() {
        return Ok(None);
    }
    Ok(Some(credentials::read(name)?).filter(|text| text.expose_secret() != NONE))
}

/// Returns whether `token` is so short that it could be guessed.
pub(super) fn is_too_short(token: &SecretString) -> bool {
    token.expose_secret().len() < SHORTEST
}

/// Returns whether `headers` carry `token`.
pub(super) fn bears(headers: &HeaderMap, token: &SecretString) -> bool {
    let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let given = given.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
    given.is_some_and(|(_, given)| given.ct_eq(token.expose_secret().as_bytes()).into())
}
