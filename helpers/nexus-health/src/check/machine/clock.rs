//! Whether the clock is synchronised. Backup sets, proofs and the purge depend on it.

use std::time::Instant;

use nexus_problems::systemd::ask;
use zbus::{Connection, Proxy};

use crate::check::postgres::in_words;
use crate::context::{Check, Context};
use crate::finding::Finding;
use crate::report::Report;

/// Remembers since when the clock is not synchronised.
#[derive(Default)]
pub(crate) struct Clock {
    unsynchronised: Option<Instant>,
}

impl Check for Clock {
    fn check(&mut self, ctx: &Context) -> Report {
        if ctx.args.thresholds.clock.0.is_none() {
            return Report::default();
        }
        let advice = "See: timedatectl; install systemd-timesyncd or chrony, or turn this check off: NEXUS_HEALTH_CLOCK=off in \
                      /etc/nexus/nexus.env, then: systemctl restart nexus-health";
        Report::only(match ask(is_synchronised) {
            Err(error) => {
                Finding::unknown("clock", format!("The state of the clock cannot be read: {error}"), advice)
            }
            Ok(true) => {
                self.unsynchronised = None;
                Finding::measured("clock", 0.0, ctx.args.thresholds.clock, "The clock is synchronised.", "")
            }
            Ok(false) => {
                let for_long = self.unsynchronised.get_or_insert_with(Instant::now).elapsed();
                // A single run cannot know since when.
                let sentence = if for_long.as_secs() == 0 {
                    "The clock is not synchronised.".to_owned()
                } else {
                    let words = in_words(for_long.as_secs_f64());
                    format!("The clock has not been synchronised for {words}.")
                };
                let (value, limits) = (for_long.as_secs_f64(), ctx.args.thresholds.clock);
                Finding::measured("clock", value, limits, sentence, advice)
            }
        })
    }
}

/// Asks the kernel, through org.freedesktop.timedate1(5), whichever program synchronises the clock.
async fn is_synchronised(bus: &Connection) -> zbus::Result<bool> {
    let name = "org.freedesktop.timedate1";
    let proxy = Proxy::new(bus, name, "/org/freedesktop/timedate1", name).await?;
    proxy.get_property("NTPSynchronized").await
}
