//! Mending: what may be mended is decided in `plan`, how often in `budget`, and done in `hand`. Nothing that is done here can
//! lose data: servers are stopped in order where they still react, and both come back from a kill with all they had confirmed.

pub(crate) mod budget;
pub(crate) mod hand;
pub(crate) mod plan;
