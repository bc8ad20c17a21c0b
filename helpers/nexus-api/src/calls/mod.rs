//! The calls of the API, one function each.

mod about;
mod action;
mod batch;
mod episode;
mod export;
mod health;
mod import;
mod recent;
mod reply;
mod search;
mod stats;
mod temporal;
mod working;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get, post};

use crate::app::App;
use crate::error::ApiError;

/// A path, its functions, and its methods.
type Call = (&'static str, MethodRouter<Arc<App>>, &'static [&'static str]);

/// Lists every call, with the methods that openapi.json has for it.
fn all() -> Vec<Call> {
    vec![
        ("/", get(about::service), &["get"]),
        ("/health", get(health::health), &["get"]),
        ("/metrics", get(stats::metrics), &["get"]),
        ("/openapi.json", get(about::openapi), &["get"]),
        ("/stats", get(stats::stats), &["get"]),
        ("/memory/action", post(action::action), &["post"]),
        ("/memory/batch", post(batch::batch), &["post"]),
        ("/memory/search", post(search::search), &["post"]),
        ("/memory/episodic/recent", get(recent::recent), &["get"]),
        ("/memory/temporal/before", post(temporal::before), &["post"]),
        ("/memory/temporal/after", post(temporal::after), &["post"]),
        ("/memory/temporal/range", post(temporal::range), &["post"]),
        ("/memory/working/add", post(working::add), &["post"]),
        ("/memory/working/items", get(working::items), &["get"]),
        ("/memory/working/clear", post(working::clear), &["post"]),
        ("/memory/working/stats", get(working::stats), &["get"]),
        ("/memory/episode/{id}", get(episode::read).delete(episode::forget), &["get", "delete"]),
        ("/memory/export", get(export::export), &["get"]),
        ("/memory/import", post(import::import), &["post"]),
    ]
}

/// Routes every call to its function.
pub(crate) fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for (path, methods, _) in all() {
        router = router.route(path, methods);
    }
    router.fallback(no_such_call).method_not_allowed_fallback(no_such_method).with_state(app)
}

async fn no_such_call(State(_): State<Arc<App>>) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no_such_call",
        "There is no such call; GET /openapi.json lists them.",
    )
}

async fn no_such_method(State(_): State<Arc<App>>) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This call needs a different method; GET /openapi.json lists them.",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::openapi;

    #[test]
    fn openapi_has_every_call_and_no_other() {
        let text: Value = serde_json::from_str(openapi::TEXT).unwrap();
        let described: BTreeSet<(String, String)> = text["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(|method| (path.clone(), method.clone()))
            })
            .collect();
        let routed: BTreeSet<(String, String)> = all()
            .iter()
            .flat_map(|(path, _, methods)| {
                methods.iter().map(|method| ((*path).to_owned(), (*method).to_owned()))
            })
            .collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn every_reference_of_openapi_leads_somewhere() {
        let text: Value = serde_json::from_str(openapi::TEXT).unwrap();
        let mut left = vec![&text];
        let mut count = 0;
        while let Some(value) = left.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(text.pointer(pointer).is_some(), "{reference}");
                        count += 1;
                    }
                    left.extend(members.values());
                }
                Value::Array(values) => left.extend(values),
                _ => {}
            }
        }
        assert!(count > 50);
    }
}
