//! Running the checks: each in a thread of its own, with a limit. One that hangs is said to, is never started a second time
//! while it does, and keeps nobody waiting.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nexus_cli::failure::{Exit, OrFail, Result};

use crate::check::Group;
use crate::finding::{Finding, Metric};
use crate::look::{Check, Ctx, Look};

/// Enough for the deepest of them; only what is touched takes memory.
const STACK: usize = 512 << 10;

/// While something is to be mended, urgent checks look so often.
const PRESSING: Duration = Duration::from_secs(5);

/// What a check has seen, and the check itself, which comes back with it.
pub(crate) struct Report {
    index: usize,
    check: Box<dyn Check>,
    look: Look,
}

/// All checks, and when each looks next.
pub(crate) struct Rounds {
    ctx: Arc<Ctx>,
    slots: Vec<Slot>,
}

struct Slot {
    group: Group,
    due: Instant,
    /// When it was sent off, as long as it is away.
    away: Option<(Timestamp, Instant)>,
    /// Whether it was said to hang.
    hangs: bool,
    /// What it measured at its last look.
    metrics: Vec<Metric>,
}

impl Rounds {
    /// All `groups`, due now.
    pub(crate) fn new(ctx: Arc<Ctx>, groups: Vec<Group>) -> Self {
        let due = Instant::now();
        let slot = |group| Slot { group, due, away: None, hangs: false, metrics: Vec::new() };
        Self { ctx, slots: groups.into_iter().map(slot).collect() }
    }

    /// Sends off every check that is due. Their reports come through `to`.
    ///
    /// # Errors
    /// Software (70) when no thread can be made.
    pub(crate) fn send_off<M: From<Report> + Send + 'static>(&mut self, to: &Sender<M>) -> Result<()> {
        let now = Instant::now();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.due > now {
                continue;
            }
            let Some(mut check) = slot.group.check.take() else { continue };
            slot.due = now + self.ctx.args.interval * slot.group.every;
            slot.away = Some((Timestamp::now(), now));
            let (ctx, to) = (Arc::clone(&self.ctx), to.clone());
            let work = move || {
                let look = check.look(&ctx);
                // Nobody listens any more at the end of the process.
                let _unheard = to.send(Report { index, check, look }.into());
            };
            let thread = thread::Builder::new().name(slot.group.name.to_owned()).stack_size(STACK);
            thread
                .spawn(work)
                .or_fail(Exit::Unavailable, || format!("starting the check {}", slot.group.name))?;
        }
        Ok(())
    }

    /// Takes a report, and the check back.
    pub(crate) fn take(&mut self, report: Report) -> Look {
        let Report { index, check, mut look } = report;
        let slot = &mut self.slots[index];
        slot.group.check = Some(check);
        slot.away = None;
        slot.metrics = std::mem::take(&mut look.metrics);
        // One that hung looks anew soon: what it brings is old.
        if std::mem::take(&mut slot.hangs) {
            slot.due = slot.due.min(Instant::now() + PRESSING);
        }
        if slot.group.every > 1 {
            // Between two of its looks minutes pass: what it says then is no trembling.
            look.findings.iter_mut().for_each(|finding| finding.calm = 1);
        }
        look.found(Finding::ok(id_of(slot.group.name), format!("The check of {} answers.", slot.group.name)));
        look
    }

    /// Those that have become too slow since the last call.
    pub(crate) fn overdue(&mut self) -> Vec<Finding> {
        let late = |slot: &mut Slot| {
            let (since, _) =
                slot.away.filter(|(_, began)| !slot.hangs && began.elapsed() > slot.group.limit)?;
            slot.hangs = true;
            let name = slot.group.name;
            let sentence =
                format!("The check of {name} does not answer since {}.", nexus_cli::text::moment(since));
            let advice =
                "What it looks at hangs: a disk, a server, or systemd. See: journalctl -u nexus-health";
            // It has had its time: there is no second look to wait for.
            Some(Finding::unknown(id_of(name), sentence, advice).patient(1))
        };
        self.slots.iter_mut().filter_map(late).collect()
    }

    /// What was measured. What a check did not see at its last look, or would not see now, is not there: an old number looks
    /// like a good one.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.slots.iter().filter(|slot| !slot.hangs).flat_map(|slot| slot.metrics.iter().cloned()).collect()
    }

    /// Lets the urgent checks look now and then every few seconds.
    pub(crate) fn press(&mut self) {
        let soon = Instant::now() + PRESSING.min(self.ctx.args.interval);
        for slot in self.slots.iter_mut().filter(|slot| slot.group.is_urgent) {
            slot.due = slot.due.min(soon);
        }
    }

    /// Whether a check is away that has time left.
    pub(crate) fn is_waiting(&self) -> bool {
        self.slots.iter().any(|slot| slot.away.is_some() && !slot.hangs)
    }

    /// When there is something to do next: a check is due, or too slow.
    pub(crate) fn next(&self) -> Instant {
        let next = |slot: &Slot| match slot.away {
            Some(_) if slot.hangs => None,
            Some((_, began)) => Some(began + slot.group.limit + Duration::from_millis(1)),
            None => Some(slot.due),
        };
        self.slots.iter().filter_map(next).min().unwrap_or_else(|| Instant::now() + self.ctx.args.interval)
    }
}

/// Name of the finding about the check itself.
fn id_of(group: &str) -> String {
    format!("check-{group}")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    use clap::Parser;

    use super::*;
    use crate::args::Args;
    use crate::finding::Level;

    /// Waits until it is let go, and measures one thing.
    struct Hangs(Arc<Mutex<()>>, Sender<()>);

    impl Check for Hangs {
        fn look(&mut self, _: &Ctx) -> Look {
            self.1.send(()).unwrap();
            drop(self.0.lock());
            Look { metrics: vec![Metric::one("slow", "One.", 1.0)], ..Look::default() }
        }
    }

    fn group(check: Box<dyn Check>, limit: Duration) -> Group {
        Group { name: "slow", every: 1, is_urgent: true, limit, check: Some(check) }
    }

    #[test]
    fn one_that_hangs_is_said_to_and_never_started_a_second_time() {
        let args = Args::parse_from(["nexus-health", "--interval=1s"]);
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let (started, starts) = channel();
        let check = Box::new(Hangs(Arc::clone(&gate), started));
        let mut rounds = Rounds::new(Arc::new(Ctx::new(args)), vec![group(check, Duration::ZERO)]);
        let (to, reports): (Sender<Report>, Receiver<Report>) = channel();
        rounds.send_off(&to).unwrap();
        starts.recv().unwrap();
        let late = rounds.overdue();
        assert_eq!(
            late.iter().map(|f| (f.id.as_str(), f.level)).collect::<Vec<_>>(),
            [("check-slow", Level::Unknown)]
        );
        assert!(rounds.overdue().is_empty() && !rounds.is_waiting());
        rounds.slots[0].due = Instant::now();
        rounds.send_off(&to).unwrap();
        drop(held);
        let look = rounds.take(reports.recv().unwrap());
        assert_eq!(look.findings[0].level, Level::Ok);
        assert!(starts.try_recv().is_err(), "it was started twice");
        rounds.slots[0].due = Instant::now();
        rounds.send_off(&to).unwrap();
        starts.recv().unwrap();
    }

    #[test]
    fn what_a_check_that_hangs_once_measured_is_no_longer_said() {
        let (gate, (started, starts)) = (Arc::new(Mutex::new(())), channel());
        let args = Args::parse_from(["nexus-health", "--interval=1s"]);
        let check = Box::new(Hangs(Arc::clone(&gate), started));
        let mut rounds = Rounds::new(Arc::new(Ctx::new(args)), vec![group(check, Duration::ZERO)]);
        let (to, reports): (Sender<Report>, Receiver<Report>) = channel();
        rounds.send_off(&to).unwrap();
        rounds.take(reports.recv().unwrap());
        assert_eq!(rounds.metrics().len(), 1);
        let held = gate.lock().unwrap();
        rounds.slots[0].due = Instant::now();
        rounds.send_off(&to).unwrap();
        assert_eq!((rounds.overdue().len(), rounds.metrics().len()), (1, 0));
        drop(held);
        rounds.take(reports.recv().unwrap());
        assert_eq!((rounds.metrics().len(), starts.iter().take(2).count()), (1, 2));
    }
}
