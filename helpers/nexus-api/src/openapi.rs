//! The description of all calls, as `GET /openapi.json` gives it.

/// OpenAPI 3.1, written by hand; a test compares it with the router.
pub(crate) const TEXT: &str = include_str!("openapi.json");
