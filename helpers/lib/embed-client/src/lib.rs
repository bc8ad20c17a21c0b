//! Asking `nexus-embed` for the vectors of texts: what is said on its socket, and a client.

pub mod client;
pub mod protocol;
