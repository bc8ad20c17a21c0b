//! A job that runs while requests come.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nexus_cli::failure::{Exit, Failure, OrFail, Result};

use crate::args::Meanwhile;
use crate::data::OLD;
use crate::process::end;
use crate::report::Report;
use crate::work::Work;

/// Backups one after the other: $0 is the directory of the sets, the rest the command.
const AGAIN: &str = r#"while "$@"; do rm -rf "$0"/[0-9]*; done"#;

/// The job.
pub(super) struct Running {
    job: Meanwhile,
    child: Child,
}

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// Unavailable (69).
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

    /// Notes it where the job has ended before the measurement.
    pub(super) fn require_at_work(&mut self, report: &mut Report) {
        if let Ok(Some(status)) = self.child.try_wait() {
            report.note(format!(
                "the {} ended before what was measured beside it ({status}): give more --episodes, or less --time",
                self.job.name()
            ));
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// Unavailable (69) when it had failed.
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

/// As the units run them (`CPUWeight=10`, `Nice=19`, `IOSchedulingPriority=7`).
fn as_a_unit() -> Command {
    let mut command = Command::new("systemd-run");
    command.args(["--scope", "--quiet", "--collect", "--property=CPUWeight=10"]);
    command.args(["ionice", "-c", "2", "-n", "7", "nice", "-n", "19"]);
    command
}

impl Meanwhile {
    /// As the report calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Purge => "purge",
        }
    }
}
