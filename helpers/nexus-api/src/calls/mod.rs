//! The calls: one function each.

mod about;
mod action;
mod answer;
mod batch;
mod episode;
mod export;
mod health;
mod import;
mod recent;
mod search;
mod stats;
mod temporal;
mod working;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use crate::app::App;
use crate::http::gate;
use crate::problem::Problem;

/// A path, what answers there, and its methods.
type Call = (&'static str, MethodRouter<Arc<App>>, &'static [&'static str]);

/// Every call, with the methods that openapi.json has for it.
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

/// All calls behind the gate.
pub(crate) fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for (path, methods, _) in all() {
        router = router.route(path, methods);
    }
    router
        .fallback(no_such_call)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(Arc::clone(&app), gate::pass))
        .with_state(app)
}

/// The path as metrics name it.
pub(crate) fn known(path: &str) -> &'static str {
    static PATHS: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| all().into_iter().map(|(path, ..)| path).collect());
    PATHS.iter().find(|known| **known == path).copied().unwrap_or("other")
}

/// Whether the call at `path` takes as long as its caller does.
pub(crate) fn is_long(path: &str) -> bool {
    matches!(path, "/memory/export" | "/memory/import")
}

async fn no_such_call(State(_): State<Arc<App>>) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_call",
        "There is no such call; GET /openapi.json lists them.",
    )
}

async fn no_such_method(State(_): State<Arc<App>>) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This call has another method; GET /openapi.json lists them.",
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
