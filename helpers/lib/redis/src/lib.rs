//! Reads Redis over its own socket: snapshots as for a replica, facts, and copies of episodes.

pub mod client;
pub mod content;
pub mod copies;
pub mod facts;
mod marked;
mod reply;
pub mod snapshot;
