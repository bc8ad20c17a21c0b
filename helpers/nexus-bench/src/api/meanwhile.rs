//! A job that runs during requests.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nexus_cli::failure::{Exit, Failure, OrFail, Result};

use crate::args::Meanwhile;
use crate::data::OLD;
use crate::process::end;
use crate::report::Report;
use crate::work::Work;

/// Runs backups one after the other: $0 is the directory of the sets, the rest the command.
const AGAIN: &str = r#"while "$@"; do rm -rf "$0"/[0-9]*; done"#;

/// A running job. Dropping it ends the job.
pub(super) struct Running {
    job: Meanwhile,
    child: Child,
}

impl Running {
    /// Starts a job.
    pub(super) fn start(job: Meanwhile, work: &Work<'_>) -> Result<Self> {
        let mut command = match job {
            Meanwhile::Backup => {
                let sets = work.fresh("meanwhile")?;
                let once = work.backup(&sets);
                let mut command = as_a_unit();
                command.args(["bash", "-c", AGAIN]).arg(sets).arg(once.get_program()).args(once.get_args());
                command.envs(once.get_envs().filter_map(|(name, value)| Some((name, value?))));
                command
            }
            Meanwhile::Purge => {
                let once = work.ours("nexus-purge");
                let mut command = as_a_unit();
                command
                    .arg(once.get_program())
                    .envs(once.get_envs().filter_map(|(name, value)| Some((name, value?))));
                command.args(["--ttl", &format!("{OLD}=100d"), "--redis-copies", "none", "--yes", "--json"]);
                command
            }
        };
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .or_fail(Exit::Unavailable, || format!("starting a {}", job.name()))?;
        Ok(Self { job, child })
    }

    /// Adds a note if the job ended before the measurement.
    pub(super) fn note_early_end(&mut self, report: &mut Report) {
        if let Ok(Some(status)) = self.child.try_wait() {
            report.note(format!(
                "the {} ended before the measurement ({status}): use more --episodes or less --time",
                self.job.name()
            ));
        }
    }

    /// Ends the job.
    ///
    /// # Errors
    /// Unavailable (69) if the job had failed.
    pub(super) fn end(mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(Some(status)) if !status.success() => {
                Err(Failure::new(Exit::Unavailable, format!("running a {}", self.job.name()))
                    .because(status.to_string()))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Returns a command with the priorities of the units (`CPUWeight=10`, `Nice=19`,
/// `IOSchedulingPriority=7`).
fn as_a_unit() -> Command {
    let mut command = Command::new("systemd-run");
    command.args(["--scope", "--quiet", "--collect", "--property=CPUWeight=10"]);
    command.args(["ionice", "-c", "2", "-n", "7", "nice", "-n", "19"]);
    command
}

impl Meanwhile {
    /// Returns the name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Purge => "purge",
        }
    }
}
