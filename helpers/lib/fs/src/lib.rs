//! Files: atomic replacement, locks, new files that are read back, access to files of another user,
//! and the list of mounts.

pub mod files;
pub mod lock;
pub mod mounts;
pub mod new_file;
mod read_back;
