//! Files: atomic replacement, locks, new files that are read back, and access to files of another
//! user.

pub mod files;
pub mod lock;
pub mod new_file;
mod read_back;
