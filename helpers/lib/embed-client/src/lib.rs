//! The protocol of `nexus-embed`, which turns texts into vectors, and its client.

pub mod client;
pub mod protocol;
