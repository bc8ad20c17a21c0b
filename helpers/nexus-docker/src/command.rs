//! The docker command lines. Each is a fixed list of words; these are all the places where a field of a
//! request gets into one: the database (inside a quoted conninfo), the snapshot (hexadecimal digits),
//! table names (inside a quoted pattern), the section and the service (words of ours); and those of [`scratch`].
//!
//! No shell ever sees a field: the `sh -c` scripts are constants, and what follows them arrives as
//! positional parameters that they use only as `"$@"` and `"$1"`.

use nexus_docker_client::protocol::{LOCK_WAIT, Request, Section, Service, Stand, TOOL_OPTIONS, TableName};

use crate::request::Refusal;

pub mod scratch;

/// The arguments of one `docker` command line.
pub type Argv = Vec<String>;

/// The label by which Compose marks its containers.
const OF_COMPOSE: &str = "label=com.docker.compose.project";

/// One container a line: its id, its project, and the project's files.
const LISTED: &str = concat!(
    r#"{{.ID}}|{{.Label "com.docker.compose.project"}}|"#,
    r#"{{.Label "com.docker.compose.project.config_files"}}"#
);

/// How many bytes of arguments are taken. The kernel allows a quarter of the stack's limit, 2 MiB with
/// the usual 8 MiB, for arguments, environment and the pointers to them (execve(2)); they pass that gate
/// twice, once for `docker` and once for the tool inside the container.
const LONGEST_ARGV: usize = 3 << 19;

/// Runs a tool inside a container only once it is watched: it says the process id it has in there, waits
/// for a line, and then becomes the tool, with the same process id. What follows the line is the tool's
/// standard input (a shell's `read` takes no byte more than its line from a pipe). When the asker goes
/// before the line comes, `read` fails and no tool is started. Whoever searches meanwhile goes first.
const HELD: &str = r#"echo $$ && read -r _ && exec nice -n 19 "$@""#;

/// Runs a tool that takes no input, and watches it itself: as [`LIFELINE`], by its own standard input. One start of a process in a
/// container is more work than all that `pg_dump` does for a backup.
const WATCHED: &str = r#"echo $$ && exec 3<&0 && { nice -n 19 "$@" </dev/null 3<&- & } && tool=$! &&
{ { cd "/proc/$tool" && ! read -r _ <&3 && [ -e stat ] && kill -KILL "$tool"; } >/dev/null 2>&1 & } && watch=$! &&
exec 3<&- && wait "$tool"
status=$?
kill "$watch" 2>/dev/null
exit "$status""#;

/// Kills the tool when nobody wants its work any more. `docker exec` does not: when the docker CLI dies,
/// what it ran goes on inside the container (moby#9098). But dockerd then closes the standard input of
/// what it ran, however the CLI died, and this script does nothing but wait for that. A line instead of
/// the end means that the tool has ended by itself.
///
/// The tool's own input cannot serve for this: for a restore it ends in order long before the tool does,
/// and while the tool builds an index nobody reads it at all.
///
/// The directory /proc/PID belongs to that one process: once it is gone, so are the files in there, even
/// when another process has got the same number. Hence the `cd` first, and the test before the kill.
const LIFELINE: &str = r#"cd "/proc/$1" && echo ready && ! read -r _ && [ -e stat ] && kill -KILL "$1""#;

/// One object a container, on one line each. A container without a health check has health null.
const CONTAINER_LINE: &str = concat!(
    r#"{"name":{{json (slice .Name 1)}},"#,
    r#""service":{{json (index .Config.Labels "com.docker.compose.service")}},"#,
    r#""image":{{json .Config.Image}},"image_id":{{json .Image}},"#,
    r#""state":{{json .State.Status}},"#,
    r#""health":{{with .State.Health}}{{json .Status}}{{else}}null{{end}},"#,
    r#""restart_count":{{json .RestartCount}},"started_at":{{json .State.StartedAt}},"#,
    r#""mounts":{{json .Mounts}},"ports":{{json .HostConfig.PortBindings}}}"#,
);

/// Version, warnings and directory of the daemon, in one object.
const DAEMON: &str = concat!(
    r#"{"version":{{json .ServerVersion}},"warnings":{{json .Warnings}},"#,
    r#""root":{{json .DockerRootDir}}}"#,
);

/// Of an image, by its name: the digest that the name stands for.
const IMAGE: &str = "{{.Id}}";

/// The container of a service, as the compose file names it.
pub fn container(service: Service) -> &'static str {
    match service {
        Service::Postgres => "nexus-postgres",
        Service::Redis => "nexus-redis",
    }
}

/// The command line for a request that runs one of `PostgreSQL`'s tools; `None` for the others.
///
/// # Errors
/// When the names in it do not fit on a command line.
pub fn tool(request: &Request) -> Option<Result<Argv, Refusal>> {
    let container = tools_container(request);
    let mut script = HELD;
    let (tool, fields) = match request {
        Request::Dump { database, snapshot, exclude_table_data } => {
            script = WATCHED;
            ("pg_dump", dump(database, snapshot, exclude_table_data))
        }
        Request::DumpRoles {} => {
            script = WATCHED;
            ("pg_dumpall", words(&["--roles-only", "--no-role-passwords"]))
        }
        Request::Restore { database, section, server, without_tablespaces } => {
            // A throwaway server has one volume and no other place.
            let in_tablespaces = !without_tablespaces && *server == Stand::Living;
            ("pg_restore", restore(database, *section, in_tablespaces))
        }
        Request::PostDataScript {} => {
            ("pg_restore", words(&["--format=custom", "--section=post-data", "--file=-"]))
        }
        _ => return None,
    };
    let mut argv = exec();
    // The environment of the tools, in addition to the container's own, which names user and password file.
    argv.extend(["--env".to_owned(), format!("PGOPTIONS={TOOL_OPTIONS}"), container.to_owned()]);
    argv.extend(words(&["sh", "-c", script, "sh", tool, "--no-password"]));
    argv.extend(fields);
    let bytes: usize = argv.iter().map(|word| word.len() + 1 + size_of::<usize>()).sum();
    if bytes > LONGEST_ARGV {
        let why = format!("the command line would have {bytes} bytes; at most {LONGEST_ARGV} are taken");
        return Some(Err(Refusal(format!("{why}: there are too many tables to leave out"))));
    }
    Some(Ok(argv))
}

fn dump(database: &str, snapshot: &str, exclude_table_data: &[TableName]) -> Argv {
    let mut argv = words(&["--format=custom", "--compress=0", "--encoding=UTF8"]);
    argv.push(format!("--lock-wait-timeout={LOCK_WAIT}"));
    argv.push(format!("--snapshot={snapshot}"));
    argv.extend(exclude_table_data.iter().map(|table| format!("--exclude-table-data={}", pattern(table))));
    argv.push(dbname(database));
    argv
}

fn restore(database: &str, section: Section, in_tablespaces: bool) -> Argv {
    let mut argv = words(&["--format=custom", "--exit-on-error"]);
    if !in_tablespaces {
        argv.push("--no-tablespaces".to_owned());
    }
    argv.push(format!("--section={}", section.as_str()));
    argv.push(dbname(database));
    argv
}

/// The container that the tool of a request runs in.
pub fn tools_container(request: &Request) -> &'static str {
    match request {
        Request::Restore { server: Stand::Scratch, .. } => scratch::name(Service::Postgres),
        _ => container(Service::Postgres),
    }
}

/// Watches the process `pid` of a container and kills it when its own input ends.
pub fn lifeline(container: &str, pid: u32) -> Argv {
    let mut argv = exec();
    argv.extend(words(&[container, "sh", "-c", LIFELINE, "sh"]));
    argv.push(pid.to_string());
    argv
}

/// Lists Compose's containers, running or not; `containers::of_stack` picks the stack's.
pub fn listed() -> Argv {
    words(&["ps", "--all", "--no-trunc", "--filter", OF_COMPOSE, "--format", LISTED])
}

/// Describes containers by their ids.
pub fn describe(ids: &[String]) -> Argv {
    let mut argv = words(&["inspect", "--type", "container", "--format", CONTAINER_LINE]);
    argv.extend_from_slice(ids);
    argv
}

/// Restarts a service. How long it may take to stop is the compose file's word (`stop_grace_period`).
pub fn restart(service: Service) -> Argv {
    words(&["restart", container(service)])
}

/// The same for one that does not answer. Docker sends the stop signal, so that a server that still reacts ends in order,
/// and kills it after ten seconds; both servers come back from that with all they had confirmed.
pub fn restart_hung(service: Service) -> Argv {
    words(&["restart", "-t", "10", container(service)])
}

/// Asks the daemon about itself.
pub fn daemon() -> Argv {
    words(&["info", "--format", DAEMON])
}

/// Names the images that the stack's containers run, one a line.
pub fn images(ids: &[String]) -> Argv {
    let mut argv = words(&["inspect", "--type", "container", "--format", "{{.Config.Image}}"]);
    argv.extend_from_slice(ids);
    argv
}

/// Asks which digest the name of an image stands for.
pub fn image(name: &str) -> Argv {
    words(&["image", "inspect", "--format", IMAGE, "--", name])
}

fn exec() -> Argv {
    words(&["exec", "--interactive"])
}

pub(crate) fn words(words: &[&str]) -> Argv {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// A conninfo with nothing but a database name in it (libpq, "Keyword/Value Connection Strings").
/// Given bare, a name that holds `=` or starts like a URI would be read as a conninfo itself.
fn dbname(database: &str) -> String {
    format!("--dbname=dbname='{}'", database.replace('\\', r"\\").replace('\'', r"\'"))
}

/// A pattern that matches this one table: between double quotes nothing is special but the double quote,
/// which is doubled (psql(1), "Patterns").
fn pattern(TableName { schema, table }: &TableName) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    format!("{}.{}", quoted(schema), quoted(table))
}

#[cfg(test)]
mod tests;
