//! The machine: processor, memory, disks, pressure, temperature.

pub(crate) mod clock;
mod cpu;
mod disk;
mod growth;
mod memory;
mod pressure;
mod temperature;

use crate::look::{Check, Ctx, Look};

/// What has to be kept from look to look.
#[derive(Default)]
pub(crate) struct Machine {
    cpu: Option<cpu::Sample>,
    disks: disk::Disks,
}

impl Check for Machine {
    fn look(&mut self, ctx: &Ctx) -> Look {
        let mut look = Look::default();
        cpu::look(&mut self.cpu, ctx, &mut look);
        memory::look(ctx, &mut look);
        pressure::look(ctx, &mut look);
        temperature::look(ctx, &mut look);
        self.disks.look(ctx, &mut look);
        look
    }
}

/// `41 %`
fn in_percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
