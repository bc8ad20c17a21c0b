//! What Redis holds for the API. Nothing of it is needed but the working memory: with Redis down everything else is as
//! right, only slower.

pub(crate) mod queries;
pub(crate) mod recent;
pub(crate) mod redis;
pub(crate) mod working;
