//! What is compared besides rows, sequences and large objects.

pub(crate) mod indexes;
pub(crate) mod objects;
