//! Sockets, connections, limits, and which requests are answered.

pub(crate) mod agent;
pub(crate) mod body;
mod browser;
pub(crate) mod connections;
pub(crate) mod gate;
mod rate;
mod remote;
mod slowdown;
pub(crate) mod sockets;
mod token;
pub(crate) mod watchdog;
