//! Divides what is limited among the clients of a service, so that none of them takes all: its
//! connections, and units of anything else.

pub mod shares;
pub mod slots;
