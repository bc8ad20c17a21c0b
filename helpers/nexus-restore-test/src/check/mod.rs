//! Compares what is not rows, sequences or large objects.

pub(crate) mod indexes;
pub(crate) mod objects;
