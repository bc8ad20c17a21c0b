//! `GET /` and `GET /openapi.json`.

use axum::Json;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use crate::openapi;

/// The version of nexus-api.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns name and version: as JSON, or as HTML for a browser.
pub(super) async fn service(headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        let page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>NEXUS</title>\
             <h1>NEXUS API {VERSION}</h1><p>A memory for programs. Its calls: <a href=\"/openapi.json\">openapi.json</a>. \
             How it is: <a href=\"/health\">health</a>.</p></html>"
        );
        return Html(page).into_response();
    }
    Json(json!({"service": "NEXUS API", "version": VERSION, "status": "running", "docs": "/openapi.json"}))
        .into_response()
}

/// Returns the description of all calls.
pub(super) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], openapi::TEXT)
}
