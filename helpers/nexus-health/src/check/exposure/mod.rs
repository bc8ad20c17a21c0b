//! Who could see what: modes of files and directories, and addresses that are listened on.

mod modes;
pub(crate) mod ports;

use crate::look::{Check, Ctx, Look};

/// Looks at both.
pub(crate) struct Exposure;

impl Check for Exposure {
    fn look(&mut self, ctx: &Ctx) -> Look {
        let mut look = Look::default();
        look.found(modes::look(&ctx.args));
        look.found(ports::look(&ctx.args));
        look
    }
}
