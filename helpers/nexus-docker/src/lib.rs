//! `nexus-docker`: the one helper that may talk to Docker, which is equivalent to root.
//!
//! It reads one request of a closed list from the connection that systemd passes to it, runs fixed `docker` command lines, and
//! streams their output back. To audit it, read in this order:
//!
//! - [`request`]: which bytes are a request, and which values its fields may have;
//! - [`command`]: the command lines, and where a field gets into one;
//! - [`peer`]: the connection, and how a hang-up is noticed;
//! - [`process`], [`run`] and [`tool`]: running a command, and running one that must not outlive its peer;
//! - [`containers`] and [`daemon`]: the list of containers, and Docker itself;
//! - [`redis`] and [`scratch`]: the requests of several steps, one at a time ([`lock`]);
//! - [`disk`]: how much disk space a throwaway server may take;
//! - [`answer`]: which of these carries out which request.

pub mod answer;
pub mod command;
pub mod containers;
pub mod daemon;
pub mod disk;
pub mod error;
mod id;
pub mod lock;
pub mod peer;
pub mod process;
pub mod redis;
pub mod request;
pub mod run;
pub mod scratch;
pub mod tool;
