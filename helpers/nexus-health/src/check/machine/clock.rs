//! Whether the clock is synchronised. Backup sets, proofs and the purge go by it.

use std::time::{Duration, Instant};

use zbus::blocking::{Connection, Proxy};

use crate::finding::Finding;
use crate::look::{Check, Ctx, Look};

/// Since when it is not.
#[derive(Default)]
pub(crate) struct Clock {
    unsynchronised: Option<Instant>,
}

impl Check for Clock {
    fn look(&mut self, ctx: &Ctx) -> Look {
        if ctx.args.thresholds.clock.0.is_none() {
            return Look::default();
        }
        let advice = "See: timedatectl; install systemd-timesyncd or chrony; or NEXUS_HEALTH_CLOCK=off";
        Look::only(match is_synchronised() {
            Err(error) => {
                Finding::unknown("clock", format!("The clock cannot be asked about: {error}."), advice)
            }
            Ok(true) => {
                self.unsynchronised = None;
                Finding::measured("clock", 0.0, ctx.args.thresholds.clock, "The clock is synchronised.", "")
            }
            Ok(false) => {
                let for_long = self.unsynchronised.get_or_insert_with(Instant::now).elapsed();
                let sentence = match for_long.as_secs() {
                    // A single look cannot tell since when.
                    0 => "The clock is not synchronised.".to_owned(),
                    seconds => {
                        let words = humantime::format_duration(Duration::from_secs(seconds));
                        format!("The clock has not been synchronised for {words}.")
                    }
                };
                let (value, limits) = (for_long.as_secs_f64(), ctx.args.thresholds.clock);
                Finding::measured("clock", value, limits, sentence, advice)
            }
        })
    }
}

/// As the kernel says it, whichever program keeps the clock (org.freedesktop.timedate1(5)).
fn is_synchronised() -> zbus::Result<bool> {
    let connection = Connection::system()?;
    let name = "org.freedesktop.timedate1";
    let proxy = Proxy::new(&connection, name, "/org/freedesktop/timedate1", name)?;
    proxy.get_property("NTPSynchronized")
}
