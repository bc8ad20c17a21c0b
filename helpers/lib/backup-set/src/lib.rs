//! Backup sets. A set is a directory that one rename publishes, and that age, zstd and PostgreSQL's
//! own tools can read. docs/FORMAT.md describes it byte by byte.

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

/// The checksums of all files of the set, in the format of sha256sum(1).
pub const CHECKSUMS: &str = "SHA256SUMS";
/// Instructions to restore with stock tools.
pub const RESTORE_TEXT: &str = "RESTORE.txt";
/// The manifest.
pub const MANIFEST: &str = "manifest.json.age";
/// The roles without passwords.
pub const ROLES: &str = "roles.sql.zst.age";
/// The archive of pg_dump, without the rows of the tables in data/.
pub const DATABASE: &str = "database.dump.zst.age";
/// A shell script that restores the set with stock tools.
pub const RESTORE_SCRIPT: &str = "restore.sh.age";
/// The ledger of what was forgotten.
pub const LEDGER: &str = "ledger.jsonl.age";
/// The keys of the ledger.
pub const LEDGER_KEY: &str = "ledger.key.age";
/// The snapshot of Redis.
pub const REDIS: &str = "redis.rdb.zst.age";
/// Records that the snapshot of Redis is missing although it was requested. It is not encrypted, so
/// that it can be read without a key.
pub const REDIS_MISSING: &str = "redis-missing.txt";
