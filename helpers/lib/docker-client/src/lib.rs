//! The way to Docker: no helper that holds rows or keys may open Docker's socket. They ask `nexus-docker`,
//! which answers a closed list of requests over `/run/nexus/docker.sock`.

pub mod client;
pub mod disk;
pub mod protocol;

/// This machine's own daemon, for `DOCKER_HOST`, even if a configuration or the environment names another one.
pub const HOST: &str = "unix:///run/docker.sock";
