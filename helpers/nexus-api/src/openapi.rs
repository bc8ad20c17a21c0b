//! The description of all calls: `GET /openapi.json`.

/// OpenAPI 3.1, written by hand. A test compares it with the router.
pub(crate) const TEXT: &str = include_str!("openapi.json");
