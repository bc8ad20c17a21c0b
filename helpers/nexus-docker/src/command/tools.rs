//! The command lines that run PostgreSQL's tools inside a container.

use nexus_docker_client::protocol::{LOCK_WAIT, Section, Server, Service, TOOL_OPTIONS, TableName};

use super::argv::Argv;
use super::scratch;
use crate::error::RunError;

/// The longest command line, in bytes. The kernel allows a quarter of the stack's limit, 2 MiB with the usual 8 MiB, for
/// arguments, environment and the pointers to them (execve(2)); the words pass that limit twice, once for `docker` and once for
/// the tool inside the container.
const LONGEST_ARGV: usize = 3 << 19;

/// Runs a tool that takes input, once it has a [`WATCHDOG`]: prints its process id in the container, waits for a line, and becomes
/// the tool, with the same process id. What follows the line is the tool's standard input (a shell's `read` takes no byte after
/// its line from a pipe). If the input ends before the line comes, `read` fails and no tool starts. Searches take precedence
/// over the tool (`nice`).
const WAITING: &str = r#"echo $$ && read -r _ && exec nice -n 19 "$@""#;

/// Runs a tool that takes no input, and watches it as [`WATCHDOG`] does, by its own standard input. Starting another process in a
/// container takes longer than all that `pg_dump` does for a backup.
const SELF_WATCHED: &str = r#"echo $$ && exec 3<&0 && { nice -n 19 "$@" </dev/null 3<&- & } && tool=$! &&
{ { cd "/proc/$tool" && ! read -r _ <&3 && [ -e stat ] && kill -KILL "$tool"; } >/dev/null 2>&1 & } && watch=$! &&
exec 3<&- && wait "$tool"
status=$?
kill "$watch" 2>/dev/null
exit "$status""#;

/// Kills the tool when this script's input ends. `docker exec` does not: when the docker CLI dies, its command goes on inside the
/// container (moby#9098). But dockerd then closes the command's standard input, however the CLI died, and this script waits for
/// that. A line instead of the end means that the tool has exited.
///
/// The tool's own input cannot serve for this: for a restore it ends long before the tool exits, and while the tool builds an
/// index nothing reads it.
///
/// The directory /proc/PID belongs to one process: once that has exited, its files are gone, even if another process has got the
/// same number. Hence the `cd` first, and the test before the kill.
const WATCHDOG: &str = r#"cd "/proc/$1" && echo ready && ! read -r _ && [ -e stat ] && kill -KILL "$1""#;

/// A PostgreSQL tool inside a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// The server in whose container it runs.
    pub server: Server,
    /// The command line.
    pub argv: Argv,
    /// Whether the tool reads its standard input, and so needs a [`watchdog`].
    pub takes_input: bool,
}

/// Dumps a database in a snapshot.
///
/// # Errors
/// When the names of the tables do not fit on a command line.
pub fn dump(database: &str, snapshot: &str, exclude_table_data: &[TableName]) -> Result<Tool, RunError> {
    let mut tool = tool(Server::Live, false, "pg_dump")
        .words("--format=custom --compress=0 --encoding=UTF8")
        .word(format!("--lock-wait-timeout={LOCK_WAIT}"))
        .word(format!("--snapshot={snapshot}"));
    for table in exclude_table_data {
        tool = tool.word(format!("--exclude-table-data={}", pattern(table)));
    }
    let tool = tool.word(dbname(database));
    let bytes: usize = tool.argv.iter().map(|word| word.len() + 1 + size_of::<usize>()).sum();
    if bytes > LONGEST_ARGV {
        return Err(RunError::NotRun(format!(
            "too many tables to exclude: the command line would have {bytes} bytes, at most {LONGEST_ARGV} are possible"
        )));
    }
    Ok(tool)
}

/// Dumps the roles, without passwords.
pub fn dump_roles() -> Tool {
    tool(Server::Live, false, "pg_dumpall").words("--roles-only --no-role-passwords")
}

/// Restores one section of an archive.
pub fn restore(database: &str, section: Section, server: Server, without_tablespaces: bool) -> Tool {
    // A throwaway server has one volume and no other place.
    let no_tablespaces = without_tablespaces || server == Server::Scratch;
    let mut tool = tool(server, true, "pg_restore").words("--format=custom --exit-on-error");
    if no_tablespaces {
        tool = tool.words("--no-tablespaces");
    }
    tool.word(format!("--section={}", section.as_str())).word(dbname(database))
}

/// Prints the post-data section of an archive as SQL.
pub fn post_data_script(server: Server) -> Tool {
    tool(server, true, "pg_restore").words("--format=custom --section=post-data --file=-")
}

/// Watches process `pid` in a server's container, and kills it when the input ends.
pub fn watchdog(server: Server, pid: u32) -> Argv {
    let argv = exec(server).word(container(server)).words("sh -c").word(WATCHDOG);
    argv.words("sh").word(pid.to_string())
}

/// Begins a command line that runs something in a server's container, as the server's user.
fn exec(server: Server) -> Argv {
    match server {
        Server::Live => Argv::new("exec --interactive"),
        Server::Scratch => Argv::new("exec --interactive").words(scratch::USER),
    }
}

fn container(server: Server) -> &'static str {
    match server {
        Server::Live => Service::Postgres.container(),
        Server::Scratch => scratch::name(Service::Postgres),
    }
}

fn tool(server: Server, takes_input: bool, name: &'static str) -> Tool {
    let script = if takes_input { WAITING } else { SELF_WATCHED };
    // The container's own environment names the user and the password file.
    let argv = exec(server)
        .words("--env")
        .word(format!("PGOPTIONS={TOOL_OPTIONS}"))
        .word(container(server))
        .words("sh -c")
        .word(script)
        .words("sh")
        .words(name)
        .words("--no-password");
    Tool { server, argv, takes_input }
}

impl Tool {
    fn word(self, word: String) -> Self {
        Self { argv: self.argv.word(word), ..self }
    }

    fn words(self, words: &'static str) -> Self {
        Self { argv: self.argv.words(words), ..self }
    }
}

/// Returns a conninfo with nothing but a database name in it (libpq, "Keyword/Value Connection Strings"). A bare name that
/// contains `=` or starts like a URI would be parsed as a conninfo itself.
fn dbname(database: &str) -> String {
    format!("--dbname=dbname='{}'", database.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Returns a pattern that matches this one table: between double quotes nothing is special but the double quote, which is
/// doubled (psql(1), "Patterns").
fn pattern(TableName { schema, table }: &TableName) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    format!("{}.{}", quoted(schema), quoted(table))
}

#[cfg(test)]
mod tests;
