//! Access to PostgreSQL: the settings to reach it, a control connection (tokio-postgres), and a raw
//! session that streams COPY without holding a row in memory.

pub mod blocking;
pub mod control;
pub mod failure;
pub mod objects;
pub mod pgvector;
mod priority;
pub mod quote;
pub mod raw;
pub mod recall;
pub mod server;
pub mod session;
pub mod stream;
pub mod trusted;
pub mod visibility;
