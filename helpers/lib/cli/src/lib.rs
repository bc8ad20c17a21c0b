//! Code that all NEXUS programs share: settings and arguments, credentials, the journal, errors
//! with exit codes, progress, output, signals.

pub mod command_line;
pub mod confirm;
pub mod credentials;
pub mod failure;
pub mod journal;
pub mod output;
mod panics;
mod path_setting;
pub mod progress;
pub mod pump;
pub mod sockets;
pub mod stop;
pub mod text;
