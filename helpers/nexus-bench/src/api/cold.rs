//! Evicts the benchmark's database, and no other, from the caches of PostgreSQL and the kernel.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nexus_cli::failure::Result;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// The shipped stack's cluster, as a path of the machine.
const CLUSTER: &str = "/var/lib/docker/volumes/nexus_postgres_data/_data/18/docker";

/// Needs PostgreSQL 18 or newer.
const EVICT: &str = "SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS pg_buffercache WITH SCHEMA public; CHECKPOINT; \
    SELECT public.pg_buffercache_evict_relation(oid) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'i', 't')";

const FILES: &str = "SELECT pg_catalog.pg_relation_filepath(oid) FROM pg_catalog.pg_class \
    WHERE relkind IN ('r', 'i', 't') AND NOT relisshared";

/// Evicts the database. Returns a note if a cache stays warm.
pub(super) fn evict(control: &Control) -> Result<Option<String>> {
    if let Err(error) = control.try_run(EVICT)? {
        let failure = from_client("evicting PostgreSQL's cache", &error);
        return Ok(Some(format!("\"cold\" is warm: {failure}")));
    }
    let mut found = false;
    for row in control.rows("looking for the files", FILES, &[])? {
        for file in segments(&Path::new(CLUSTER).join(row.get::<_, String>(0))) {
            found |= posix_fadvise(file.as_fd(), 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).is_ok();
        }
    }
    Ok((!found).then(|| format!("\"cold\" is cold for PostgreSQL alone: the kernel's cache stayed warm, because {CLUSTER} does not exist")))
}

/// Opens the files of a relation, of up to one gigabyte each.
fn segments(path: &Path) -> impl Iterator<Item = File> {
    let name = path.as_os_str().to_owned();
    let of = move |number: u32| {
        let mut name = name.clone();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        File::open(PathBuf::from(name)).ok()
    };
    (0..).map_while(of)
}
