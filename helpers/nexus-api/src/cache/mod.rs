//! Data in Redis. Only the working memory needs it; without Redis everything else still works, only
//! slower.

pub(crate) mod queries;
pub(crate) mod recent;
pub(crate) mod redis;
pub(crate) mod working;
