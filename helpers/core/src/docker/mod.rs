//! The way to Docker: no helper that holds rows or keys may open Docker's socket. They ask `nexus-docker`,
//! which answers a closed list of requests over `/run/nexus/docker.sock`.

pub mod client;
pub mod protocol;

/// This machine's own daemon. A configuration or an environment that names another one has no say (`DOCKER_HOST`).
pub const HOST: &str = "unix:///run/docker.sock";
