//! `nexus-api`: the memory over HTTP, for one person's programs. A request passes through these
//! modules in this order:
//!
//! - `http`: accepts connections, checks tokens and limits, reads bodies;
//! - `calls`: answers; one function for each call, all listed in `calls/mod.rs`;
//! - [`input`]: parses and checks the request's fields;
//! - `vectors`: gets vectors from nexus-embed;
//! - `cache`: reads and writes Redis;
//! - `memory`: queries PostgreSQL, always as one agent.
//!
//! `peer` names who sent a request. `app` holds what calls share, [`run`] starts and stops it all.

pub mod args;
pub mod error;
pub mod input;
pub mod run;

mod app;
mod cache;
mod calls;
mod http;
mod memory;
mod metrics;
mod openapi;
mod peer;
mod time;
mod vectors;
