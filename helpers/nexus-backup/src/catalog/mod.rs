//! What the database holds, read from its catalogs inside the snapshot.

pub(crate) mod binary_safety;
pub(crate) mod database;
pub(crate) mod role;
pub(crate) mod tables;
