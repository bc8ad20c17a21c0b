//! nexus-embed: turns texts into vectors on this machine.

mod args;

use std::process::ExitCode;

use nexus_cli::failure::{Exit, OrFail, Result};
use nexus_cli::stop::Stop;
use nexus_cli::{command_line, journal, output};
use nexus_embed::backfill::{self, check};
use nexus_embed::machine::Instructions;
use nexus_embed::model::{Model, folder_of};
use nexus_embed::service;

use crate::args::Args;

fn main() -> ExitCode {
    let _journal = journal::init("nexus-embed");
    match run() {
        Ok(code) => code,
        Err(failure) => {
            // Another run is in progress, or there is no model yet. A later run does the work, so
            // this is no error.
            let level = if failure.exit() == Exit::TryLater { log::Level::Info } else { log::Level::Error };
            log::log!(level, "nexus-embed: {failure}");
            failure.exit_code()
        }
    }
}

fn run() -> Result<ExitCode> {
    let args: Args = command_line::parse()?;
    if args.check {
        return check(&args);
    }
    if args.backfill {
        let filled = backfill::run(&args.endpoints(), &Stop::on_signals()?)?;
        if args.json {
            output::json(&filled)?;
        } else if filled != backfill::Filled::default() {
            log::info!(
                "{} filled in, {} not embedded, {} waiting",
                filled.filled,
                filled.not_done,
                filled.waiting
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads())
        .use_current_thread()
        .build_global()
        .or_fail(Exit::Unavailable, || "starting threads")?;
    let folder = folder_of(&args.models_dir, &args.model);
    service::serve(|| Model::load(&folder, Instructions::best()), args.idle)?;
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Args) -> Result<ExitCode> {
    let found = check::check(&args.endpoints(), args.requeue)?;
    if args.json {
        output::json(&found)?;
    } else {
        output::print(&found.to_text())?;
    }
    Ok(if found.is_well() { ExitCode::SUCCESS } else { ExitCode::from(Exit::Data as u8) })
}
