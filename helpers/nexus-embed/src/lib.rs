//! Turns texts into vectors on this machine: a sentence-transformers model on the CPU, the service
//! on a socket, and the job that fills in missing vectors of episodes.

pub mod backfill;
pub mod engine;
pub mod machine;
pub mod model;
pub mod service;
