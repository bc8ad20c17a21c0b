//! A backup set: a directory that one rename publishes, readable with age, zstd and PostgreSQL's own tools.
//! docs/FORMAT.md describes it byte by byte.

pub mod checksums;
pub mod database_sql;
pub mod directory;
pub mod encrypt;
pub mod home;
pub mod in_use;
pub mod keys;
pub mod locate;
pub mod manifest;
pub mod name;
pub mod open;
pub mod proof;
mod recipient;
pub mod rotation;
pub mod size;
pub mod verify;

/// Checksums of every file of the set, in the form of sha256sum(1).
pub const CHECKSUMS: &str = "SHA256SUMS";
/// How to restore with stock tools.
pub const RESTORE_TEXT: &str = "RESTORE.txt";
/// What is in the set.
pub const MANIFEST: &str = "manifest.json.age";
/// Roles without passwords.
pub const ROLES: &str = "roles.sql.zst.age";
/// pg_dump's archive of everything but the rows of the tables in data/.
pub const DATABASE: &str = "database.dump.zst.age";
/// A shell script that restores the set with stock tools.
pub const RESTORE_SCRIPT: &str = "restore.sh.age";
/// The ledger of what was forgotten.
pub const LEDGER: &str = "ledger.jsonl.age";
/// The keys of that ledger.
pub const LEDGER_KEY: &str = "ledger.key.age";
/// Redis's snapshot.
pub const REDIS: &str = "redis.rdb.zst.age";
/// Says that Redis's snapshot is missing although it was wanted. In the clear, so that no key is needed to see it.
pub const REDIS_MISSING: &str = "redis-missing.txt";
