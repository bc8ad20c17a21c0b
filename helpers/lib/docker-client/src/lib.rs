//! The protocol of nexus-docker and its client: no helper that holds rows or keys may open Docker's
//! socket.
//!
//! `nexus-docker` answers a closed list of requests over `/run/nexus/docker.sock`. The client sends
//! one line of JSON ([`protocol`]); for a request that takes input, raw bytes follow until the
//! client shuts down its writing half. The answer is a sequence of frames ([`frame`]).

pub mod client;
pub mod disk;
mod feed;
pub mod frame;
mod lease;
mod output;
pub mod protocol;

/// The local Docker daemon, for `DOCKER_HOST`, even if a configuration file or the environment
/// names another one.
pub const HOST: &str = "unix:///run/docker.sock";
