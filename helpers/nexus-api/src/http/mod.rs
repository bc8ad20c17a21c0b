//! How requests come in: sockets, connections, limits, and who may ask.

pub(crate) mod agent;
pub(crate) mod body;
mod browser;
pub(crate) mod connections;
pub(crate) mod gate;
pub(crate) mod outside;
pub(crate) mod peer;
pub(crate) mod rate;
pub(crate) mod slots;
pub(crate) mod slowdown;
pub(crate) mod sockets;
pub(crate) mod watchdog;
