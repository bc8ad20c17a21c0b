//! Running one of `PostgreSQL`'s tools inside its container so that it never outlives its asker.
//!
//! A tool that takes input is held until it is watched by a second command line, its lifeline; one that takes none is watched by
//! the shell that runs it (the scripts are in [`crate::command`]). Whatever dies, the tool dies: the asker (we see the
//! hang-up and let go of the lifeline), this helper, even by SIGKILL (both docker CLIs lose their input, and the unit takes
//! them down), the tool's docker CLI (we see its end and let go of the lifeline), the lifeline's
//! docker CLI (dockerd ends the lifeline's input).

use std::io::Write;
use std::process::ChildStdin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::asker::{Asker, Wake};
use crate::command;
use crate::run::{self, Input, Trouble};
use crate::running::Running;

/// How long dockerd may take to start something inside a running container.
const START: Duration = Duration::from_secs(60);

/// How long a tool may take to be gone after its lifeline was let go, and a lifeline after its tool.
const GRACE: Duration = Duration::from_secs(15);

/// Runs `argv` ([`command::tool`]) in `container`, its standard output going to the asker; `input`, if any, goes to the
/// tool.
///
/// # Errors
/// When the tool does not end with status 0, or the asker goes.
pub fn run(
    asker: &Arc<Asker>,
    container: &str,
    argv: &[String],
    input: Option<Input>,
) -> Result<(), Trouble> {
    let mut tool = Running::start(argv, asker)?;
    let mut stdout = tool.stdout()?;
    let mut stdin = tool.stdin()?;

    let said = asker.line_of(&mut stdout, START).map_err(|wake| in_time(wake, START))?;
    let Ok(pid) = said.parse() else {
        // No such container, or it does not run: docker has said what, for some causes on standard output.
        drop(stdin);
        if !said.is_empty() {
            asker.say(&format!("docker said: {said}"));
        }
        tool.forward(stdout, b'e', asker);
        tool.wait(Some(asker), Some(Instant::now() + GRACE));
        tool.succeeded()?;
        return Err(Trouble::NotRun("the tool's process id did not come".to_owned()));
    };
    let Some(input) = input else {
        tool.forward(stdout, b'o', asker);
        let wake = tool.wait(Some(asker), None);
        // Its end is what kills the tool.
        drop(stdin);
        if wake == Wake::HungUp {
            tool.wait(None, Some(Instant::now() + GRACE));
            return Err(Trouble::HungUp);
        }
        return tool.succeeded();
    };
    let lifeline = Lifeline::of(container, pid, asker)?;
    stdin.write_all(b"go\n").map_err(|e| Trouble::NotRun(format!("starting the tool: {e}")))?;

    tool.forward(stdout, b'o', asker);
    run::feed(input, stdin, asker);
    let wake = tool.wait(Some(asker), None);
    if wake == Wake::HungUp {
        lifeline.let_go();
        tool.wait(None, Some(Instant::now() + GRACE));
        return Err(Trouble::HungUp);
    }
    let result = tool.succeeded();
    match result {
        // The tool itself ended, well or not: its status came from inside the container.
        Ok(()) => lifeline.tool_has_ended(),
        // Or only its docker CLI did, and then the tool must follow.
        Err(_) => lifeline.let_go(),
    }
    result
}

/// What kills the tool when we let go of it.
struct Lifeline {
    docker: Running,
    stdin: ChildStdin,
}

impl Lifeline {
    /// Ties the process `pid` of the container to this helper's life.
    fn of(container: &str, pid: u32, asker: &Arc<Asker>) -> Result<Self, Trouble> {
        let mut docker = Running::start(&command::lifeline(container, pid), asker)?;
        let mut stdout = docker.stdout()?;
        let stdin = docker.stdin()?;
        match asker.line_of(&mut stdout, START) {
            Ok(line) if line == "ready" => {}
            Ok(_) => {
                return Err(Trouble::NotRun("the tool could not be watched, so it was not run".to_owned()));
            }
            Err(wake) => return Err(in_time(wake, START)),
        }
        // The rest of its output is nothing; but reading it shows when it has ended.
        docker.forward(stdout, b'e', asker);
        Ok(Self { docker, stdin })
    }

    /// Kills the tool if it is still there, and waits until that is done.
    fn let_go(self) {
        let Self { mut docker, stdin } = self;
        drop(stdin);
        docker.wait(None, Some(Instant::now() + GRACE));
    }

    /// Ends the watch; nothing is killed.
    fn tool_has_ended(self) {
        let Self { mut docker, mut stdin } = self;
        // It fails when the lifeline has gone as well, which is what is wanted.
        let _ = stdin.write_all(b"done\n");
        docker.wait(None, Some(Instant::now() + GRACE));
    }
}

fn in_time(wake: Wake, limit: Duration) -> Trouble {
    if wake == Wake::TooLate { Trouble::TooLate(limit) } else { Trouble::HungUp }
}
