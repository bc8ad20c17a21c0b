//! Redis as a replica sees it: its snapshot over its own socket.

mod marked;
mod reply;
pub mod snapshot;
