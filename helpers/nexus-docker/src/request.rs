//! Reads a request and checks its fields.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::ops::RangeInclusive;

use nexus_cli::text::beginning;
use nexus_docker_client::protocol::{LONGEST_REQUEST, Request, TableName};

/// The longest name that PostgreSQL stores, in bytes (`NAMEDATALEN` - 1).
const LONGEST_NAME: usize = 63;

/// How many tables a dump may exclude. Their names must also fit on a command line.
pub const MOST_TABLES: usize = 30_000;

/// The range of a throwaway server's memory limit, in MiB.
const SCRATCH_MEMORY: RangeInclusive<u32> = 64..=65_536;

/// Why a request is not valid, in one line.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidRequest(pub String);

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for InvalidRequest {}

fn invalid<T>(why: impl Into<String>) -> Result<T, InvalidRequest> {
    Err(InvalidRequest(why.into()))
}

/// Reads the request line and checks it. What follows the line stays in `input`.
///
/// # Errors
/// The outer error is the connection's, the inner one the request's.
pub fn read(input: &mut impl BufRead) -> io::Result<Result<Request, InvalidRequest>> {
    let mut line = Vec::new();
    input.take(LONGEST_REQUEST as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(parse(&line)),
        _ if line.len() + 1 >= LONGEST_REQUEST => {
            Ok(invalid(format!("the request line is longer than {LONGEST_REQUEST} bytes")))
        }
        _ => Ok(invalid("the connection closed before the end of the request line")),
    }
}

/// Parses a request line without its newline, and checks every field.
///
/// # Errors
/// When the request is not on the closed list, or a field's value is not allowed.
pub fn parse(line: &[u8]) -> Result<Request, InvalidRequest> {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            // The parser quotes names from the line.
            return invalid(format!("not a request on the list: {}", beginning(&error.to_string())));
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
        | Request::PostDataScript { server: _ }
        | Request::ScratchDown {}
        | Request::RedisRestore {}
        | Request::Containers {}
        | Request::Daemon {}
        | Request::Restart { service: _ }
        | Request::RestartHung { service: _ } => {}
    }
    Ok(request)
}

fn check_tables(tables: &[TableName]) -> Result<(), InvalidRequest> {
    if tables.len() > MOST_TABLES {
        return invalid(format!("{} tables to exclude; at most {MOST_TABLES} are allowed", tables.len()));
    }
    for TableName { schema, table } in tables {
        check_name("schema", schema)?;
        check_name("table", table)?;
    }
    Ok(())
}

fn check_name(field: &str, name: &str) -> Result<(), InvalidRequest> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return invalid(format!("{field}: a name must have 1 to {LONGEST_NAME} bytes, not {}", name.len()));
    }
    if name.contains('\0') {
        return invalid(format!("{field}: a name must not contain NUL"));
    }
    Ok(())
}

fn check_memory(mib: u32) -> Result<(), InvalidRequest> {
    if SCRATCH_MEMORY.contains(&mib) {
        return Ok(());
    }
    invalid(format!("memory_mib: must be {} to {}", SCRATCH_MEMORY.start(), SCRATCH_MEMORY.end()))
}

/// Checks the format of `pg_export_snapshot()`: `%08X-%08X-%d` (`snapmgr.c`).
fn check_snapshot(id: &str) -> Result<(), InvalidRequest> {
    let hex8 = |part: &str| part.len() == 8 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    let number = |part: &str| (1..=10).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = id.split('-');
    let well_formed = parts.next().is_some_and(hex8)
        && parts.next().is_some_and(hex8)
        && parts.next().is_some_and(number)
        && parts.next().is_none();
    if well_formed { Ok(()) } else { invalid("snapshot: must have the form 00000003-0000001B-1") }
}

#[cfg(test)]
mod tests;
