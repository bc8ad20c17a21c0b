//! Errors of the API: an HTTP status, a code for programs, a sentence for people.

use std::time::Duration;

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

/// Why a request fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable; docs/API.md lists them.
    pub code: &'static str,
    /// One sentence. It quotes no stored data.
    pub message: String,
    /// The wrong field of the request: `action_details.importance_score`, `tags[3]`, a header, a
    /// parameter.
    pub field: Option<String>,
    /// Seconds after which a retry may succeed.
    pub retry_after: Option<u32>,
}

impl ApiError {
    /// Creates an error with `status` and `code`.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, retry_after: None }
    }

    /// 422: `field` has an invalid value.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message) }
    }

    /// 503: the request cannot be answered now.
    pub(crate) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message) }
    }

    /// 404: the agent has no such episode.
    pub(crate) fn no_episode() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such episode.")
    }

    /// 429: the client must wait for `wait`.
    pub(crate) fn too_many(wait: Duration, message: &str) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let seconds = u32::try_from(seconds.max(1)).unwrap_or(u32::MAX);
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
        Self { retry_after: Some(seconds), ..error }
    }

    /// 401: the request has no token, or a wrong one.
    pub(crate) fn unauthorized() -> Self {
        let message = "The header Authorization: Bearer … must have the API's token.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 500: a fault of nexus-api. The journal explains it.
    pub fn internal() -> Self {
        let message = "nexus-api failed; its journal has the cause: journalctl -u nexus-api";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Returns the error with `field` below `parent`: `episodes[2].tags`.
    #[must_use]
    pub fn within(self, parent: &str) -> Self {
        let field = match self.field {
            Some(field) if field.starts_with('[') => format!("{parent}{field}"),
            Some(field) => format!("{parent}.{field}"),
            None => parent.to_owned(),
        };
        Self { field: Some(field), ..self }
    }

    /// Returns the body of the response.
    pub fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("code".to_owned(), self.code.into());
        body.insert("message".to_owned(), self.message.clone().into());
        if let Some(field) = &self.field {
            body.insert("field".to_owned(), field.clone().into());
        }
        Value::Object(body)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
