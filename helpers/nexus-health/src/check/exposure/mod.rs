//! Who could see what: modes of files and directories, addresses that are listened on, other machines that are let in.

mod modes;
pub(crate) mod ports;
pub(in crate::check) mod remote;

use crate::look::{Check, Ctx, Look};

/// Looks at all of it.
pub(crate) struct Exposure;

impl Check for Exposure {
    fn look(&mut self, ctx: &Ctx) -> Look {
        let mut look = Look::default();
        look.found(modes::look(&ctx.args));
        look.found(ports::look(&ctx.args));
        look.findings.extend(remote::look(&ctx.args));
        look
    }
}
