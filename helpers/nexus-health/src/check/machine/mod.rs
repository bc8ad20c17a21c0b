//! The machine: processor, memory, disks, pressure, temperature.

pub(crate) mod clock;
mod cpu;
mod disk;
mod growth;
mod memory;
mod pressure;
mod temperature;

use crate::context::{Check, Context};
use crate::report::Report;

/// The state between two checks.
#[derive(Default)]
pub(crate) struct Machine {
    cpu: Option<cpu::Sample>,
    disks: disk::Disks,
}

impl Check for Machine {
    fn check(&mut self, ctx: &Context) -> Report {
        let mut report = Report::default();
        cpu::check(&mut self.cpu, ctx, &mut report);
        memory::check(ctx, &mut report);
        pressure::check(ctx, &mut report);
        temperature::check(ctx, &mut report);
        self.disks.check(ctx, &mut report);
        report
    }
}

/// Formats a share: `41 %`.
fn in_percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
