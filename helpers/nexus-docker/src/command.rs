//! The docker command lines. The closed list of what may be asked is `Request` in nexus-docker-client (protocol.rs);
//! tests/closed_list.rs guards it. Each command line is a fixed list of words. Fields of a request get into one in these places only:
//!
//! - [`tools`]: the database (inside a quoted conninfo), the snapshot (hexadecimal digits), names of tables (inside a quoted
//!   pattern), the section, the service;
//! - [`scratch`]: the memory limit and the length of the RDB file.
//!
//! No shell parses a field: the `sh -c` scripts are constants, and what follows them arrives as positional parameters that they
//! use only as `"$@"` and `"$1"`. Only these modules can make an [`Argv`], and nothing else can be run. Options come from
//! constants, which are split into words; a value becomes one word.

mod argv;
pub mod redis;
pub mod scratch;
pub mod stack;
pub mod tools;

pub use argv::Argv;
