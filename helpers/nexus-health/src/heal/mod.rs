//! Healing: `plan` decides what to repair, `budget` how often, and `executor` does it. No action can lose data: a server that
//! still reacts is stopped cleanly, and both servers survive a kill with everything that they have confirmed.

pub(crate) mod budget;
pub(crate) mod executor;
pub(crate) mod plan;
