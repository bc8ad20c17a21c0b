//! What goes wrong with a request, as its caller is told: a status, a code for programs, a sentence for people.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable; docs/API.md lists them.
    pub code: &'static str,
    /// One sentence, without anything that was stored.
    pub message: String,
    /// The field of the request that is wrong: `action_details.importance_score`, `tags[3]`, a header, a parameter.
    pub field: Option<String>,
    /// Seconds after which trying again may help.
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem of `status` and `code`.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, retry_after: None }
    }

    /// 422: `field` is not what it may be.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message) }
    }

    /// 503: it cannot be done now.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message) }
    }

    /// 404: the agent has no such episode.
    pub fn no_episode() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such episode.")
    }

    /// 401: it has no token, or a wrong one.
    pub fn unauthorized() -> Self {
        let message = "The header Authorization: Bearer … must have the API's token.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 500: a fault of ours, which the journal explains.
    pub fn internal() -> Self {
        let message = "This is a fault of nexus-api; its journal says more: journalctl -u nexus-api";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The same with `field` put under `parent`: `episodes[2].tags`.
    #[must_use]
    pub fn within(self, parent: &str) -> Self {
        let field = match self.field {
            Some(field) if field.starts_with('[') => format!("{parent}{field}"),
            Some(field) => format!("{parent}.{field}"),
            None => parent.to_owned(),
        };
        Self { field: Some(field), ..self }
    }

    /// The answer's body.
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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
