//! Redis as a replica sees it: its snapshot over its own socket, and what such a snapshot holds.

pub mod client;
pub mod content;
pub mod copies;
pub mod facts;
mod marked;
mod reply;
pub mod snapshot;
