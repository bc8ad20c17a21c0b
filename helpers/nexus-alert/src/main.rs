//! nexus-alert: alerts the owner when a unit fails or nexus-health finds a problem, and when it is over.
//!
//! Data flows one way: a `source` reports, `track` opens or resolves an incident, an `alert` describes it, and `deliver` sends
//! it through the `channels`.

mod alert;
mod args;
mod channel;
mod channels;
mod deliver;
mod details;
mod incident;
mod mask;
mod source;
mod store;
mod subject;
mod summary;
mod test_outcome;
mod track;
mod unit;

use std::process::ExitCode;

use jiff::Timestamp;
use nexus_cli::command_line;
use nexus_cli::failure::Result;

use crate::args::{Args, Task};
use crate::store::Store;
use crate::summary::Summary;

fn main() -> ExitCode {
    command_line::main("nexus-alert", run)
}

fn run() -> Result<()> {
    let args: Args = command_line::parse()?;
    let task = args.task()?;
    channels::become_subreaper()?;
    let (store, channels) = (Store::at(&args.dir, &args.spare)?, args.channels()?);
    let deliver = || deliver::pending(&store, &channels, args.by(), Timestamp::now());
    let queued = match task {
        Task::Test { is_queued: false } => {
            return deliver::test(&store, &channels, args.by())?.print(args.json);
        }
        Task::Test { is_queued: true } => track::test(&store, &channels)?,
        Task::Unit { unit, is_over } => {
            Summary::of(track::unit(&store, &channels, &unit, is_over, args.lines)?)
        }
        Task::Health => track::health(&store, &channels, &args.problems)?,
        Task::Retry => {
            // What is queued need not wait for systemd's answers.
            let sent = deliver()?;
            let rechecked = track::recheck(&store, &channels)?;
            if rechecked.queued.is_empty() {
                return sent.and(rechecked).print(args.json);
            }
            sent.and(rechecked)
        }
    };
    queued.and(deliver()?).print(args.json)
}
