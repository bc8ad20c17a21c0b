//! `nexus-api`: the memory over HTTP, for one person's programs. To read it:
//!
//! - [`args`]: what it can be told;
//! - [`input`]: which bytes are a request at all, and what its fields may hold;
//! - `http`: sockets, connections, limits, who may come in;
//! - `calls`: one function a call, listed in `calls/mod.rs`;
//! - `memory`: what is asked of PostgreSQL, always as one agent;
//! - `cache`: what Redis holds, and what is done without it;
//! - `vectors`: texts to vectors, by nexus-embed.

pub mod args;
pub mod input;
pub mod problem;
pub mod run;

mod app;
mod cache;
mod calls;
mod http;
mod memory;
mod metrics;
mod openapi;
mod time;
mod vectors;

/// What our sessions are called in pg_stat_activity.
const APPLICATION: &str = "nexus-api";
