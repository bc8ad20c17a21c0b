//! The agent of a request.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::error::ApiError;

/// The header that names the agent.
pub(crate) const HEADER: &str = "x-nexus-agent";

/// The agent of a request without the header.
pub(crate) const DEFAULT: &str = "nexus";

/// The longest name, in characters.
const LONGEST: usize = 100;

/// An agent's name: letters, digits and `._:@/+-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent(pub(crate) String);

impl Agent {
    /// Returns the agent that `headers` name, or 422 for two names or a malformed one.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(Self(DEFAULT.to_owned())) };
        let name = value.to_str().unwrap_or_default();
        let is_name = (1..=LONGEST).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:@/+-".contains(&byte));
        if !is_name || values.next().is_some() {
            let message = format!("It must be one name of 1 to {LONGEST} letters, digits, or any of ._:@/+-");
            return Err(ApiError::invalid("X-Nexus-Agent", message));
        }
        Ok(Self(name.to_owned()))
    }
}

impl<S: Sync> FromRequestParts<S> for Agent {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(&parts.headers)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn named(name: &[u8]) -> Result<Agent, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(name).unwrap());
        Agent::of(&headers)
    }

    #[test]
    fn an_agent_is_one_name() {
        assert_eq!(Agent::of(&HeaderMap::new()).unwrap().0, "nexus");
        assert_eq!(named(b"bot:7@home").unwrap().0, "bot:7@home");
        for wrong in [&b""[..], b" ", b"a b", b"a,b", "ñ".as_bytes(), b"'", &[b'x'; 101]] {
            assert_eq!(named(wrong).unwrap_err().field.unwrap(), "X-Nexus-Agent");
        }
        let mut two = HeaderMap::new();
        two.append(HEADER, HeaderValue::from_static("a"));
        two.append(HEADER, HeaderValue::from_static("b"));
        assert!(Agent::of(&two).is_err());
    }
}
