//! Reads the database's catalogs inside the snapshot.

pub(crate) mod bare_names;
pub(crate) mod binary_safety;
pub(crate) mod database;
pub(crate) mod definitions;
pub(crate) mod left_out;
pub(crate) mod locks;
pub(crate) mod tables;
