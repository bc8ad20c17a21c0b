//! Reading one request and checking every field of it.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::ops::RangeInclusive;

use nexus_cli::text::beginning;
use nexus_docker_client::protocol::{LONGEST_REQUEST, Request, TableName};

/// The longest name `PostgreSQL` keeps, in bytes (`NAMEDATALEN` - 1).
const LONGEST_NAME: usize = 63;

/// How many tables one dump may leave out. Their names must fit on a command line besides (see
/// [`command`](crate::command)).
pub const MOST_TABLES: usize = 30_000;

/// How many MiB of memory a throwaway server may be given.
const SCRATCH_MEMORY: RangeInclusive<u32> = 64..=65_536;

/// Why a request is not carried out: one line for the asker.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(why.into()))
}

/// Reads the request line and checks it. What follows the line stays in `input`.
///
/// # Errors
/// The outer error is the connection's; the inner one is about what came over it.
pub fn read(input: &mut impl BufRead) -> io::Result<Result<Request, Refusal>> {
    let mut line = Vec::new();
    input.take(LONGEST_REQUEST as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(parse(&line)),
        _ if line.len() + 1 >= LONGEST_REQUEST => {
            Ok(refuse(format!("the request line is longer than {LONGEST_REQUEST} bytes")))
        }
        _ => Ok(refuse("the connection ended before the request line did")),
    }
}

/// The request that `line` (without its newline) is.
///
/// # Errors
/// When it is none of the closed list, or a field holds what it may not.
pub fn parse(line: &[u8]) -> Result<Request, Refusal> {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            // The parser repeats names from the line in its text.
            return refuse(format!("this is no request on the list: {}", beginning(&error.to_string())));
        }
    };
    match &request {
        Request::Dump { database, snapshot, exclude_table_data } => {
            check_name("database", database)?;
            check_snapshot(snapshot)?;
            check_tables(exclude_table_data)?;
        }
        Request::Restore { database, section: _, server: _, without_tablespaces: _ } => {
            check_name("database", database)?;
        }
        Request::ScratchUp { memory_mib } | Request::ScratchRedis { memory_mib, bytes: _ } => {
            check_memory(*memory_mib)?;
        }
        Request::DumpRoles {}
        | Request::PostDataScript {}
        | Request::ScratchDown {}
        | Request::RedisRestore {}
        | Request::Containers {}
        | Request::Daemon {}
        | Request::Restart { service: _ }
        | Request::RestartHung { service: _ } => {}
    }
    Ok(request)
}

fn check_tables(tables: &[TableName]) -> Result<(), Refusal> {
    if tables.len() > MOST_TABLES {
        return refuse(format!("{} tables to leave out; at most {MOST_TABLES} are taken", tables.len()));
    }
    for TableName { schema, table } in tables {
        check_name("schema", schema)?;
        check_name("table", table)?;
    }
    Ok(())
}

fn check_name(field: &str, name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return refuse(format!("{field}: a name has 1 to {LONGEST_NAME} bytes, this one {}", name.len()));
    }
    if name.contains('\0') {
        return refuse(format!("{field}: a name holds no NUL"));
    }
    Ok(())
}

fn check_memory(mib: u32) -> Result<(), Refusal> {
    if SCRATCH_MEMORY.contains(&mib) {
        return Ok(());
    }
    refuse(format!("memory_mib: {} to {} are taken", SCRATCH_MEMORY.start(), SCRATCH_MEMORY.end()))
}

/// As `pg_export_snapshot()` names them: `%08X-%08X-%d` (`snapmgr.c`).
fn check_snapshot(id: &str) -> Result<(), Refusal> {
    let hex8 = |part: &str| part.len() == 8 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    let number = |part: &str| (1..=10).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = id.split('-');
    let well_formed = parts.next().is_some_and(hex8)
        && parts.next().is_some_and(hex8)
        && parts.next().is_some_and(number)
        && parts.next().is_none();
    if well_formed { Ok(()) } else { refuse("snapshot: it looks like 00000003-0000001B-1, this does not") }
}

#[cfg(test)]
mod tests;
