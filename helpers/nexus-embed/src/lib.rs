//! Texts to vectors, on this machine: a model of sentence-transformers on the CPU, the service that answers on a socket, and
//! the job that fills in the vectors that episodes lack.

pub mod backfill;
pub mod engine;
pub mod machine;
pub mod model;
pub mod service;
