//! Exposure: modes of files and directories, listening addresses, access by other machines.

mod modes;
pub(crate) mod ports;
pub(in crate::check) mod remote;

use crate::context::{Check, Context};
use crate::report::Report;

/// Checks the exposure.
pub(crate) struct Exposure;

impl Check for Exposure {
    fn check(&mut self, ctx: &Context) -> Report {
        let mut report = Report::default();
        report.found(modes::check(&ctx.args));
        report.found(ports::check(&ctx.args));
        report.findings.extend(remote::check(&ctx.args));
        report
    }
}
