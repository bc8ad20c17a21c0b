//! `nexus-docker`: the one helper that may talk to Docker, which is root by another name.
//!
//! It reads one request of a closed list from the connection that systemd gives it, turns it into fixed
//! `docker` command lines and streams the output back. To audit it, read in this order:
//!
//! - [`request`]: which bytes are a request at all, and what its fields may hold;
//! - [`command`]: the command lines, and the few places where a field gets into one;
//! - [`asker`]: the connection, and how a hang-up is noticed;
//! - [`running`], [`run`] and [`tool`]: running a command, and running one that must not outlive its asker;
//! - [`containers`] and [`daemon`]: the list of containers, and Docker itself;
//! - [`redis`] and [`scratch`]: the requests that take several steps, one at a time ([`lock`]);
//! - [`disk`]: how much disk a throwaway server may take.

pub mod asker;
pub mod command;
pub mod containers;
pub mod daemon;
pub mod disk;
pub mod lock;
pub mod redis;
pub mod request;
pub mod run;
pub mod running;
pub mod scratch;
pub mod tool;
