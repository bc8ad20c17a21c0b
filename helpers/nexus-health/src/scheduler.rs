//! Runs each check in its own thread, with a limit. A check that hangs becomes a finding, is not started a second time meanwhile,
//! and does not delay the others.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nexus_cli::failure::{Exit, OrFail, Result};

use crate::check::ScheduledCheck;
use crate::context::{Check, Context};
use crate::finding::{Finding, Metric};
use crate::report::Report;

/// The stack size of a check, enough for the deepest. Only pages that are used take memory.
const STACK: usize = 512 << 10;

/// The interval of urgent checks while something needs a repair.
const PRESSING: Duration = Duration::from_secs(5);

/// A check that has completed, with its report.
pub(crate) struct Completed {
    index: usize,
    check: Box<dyn Check>,
    report: Report,
}

/// All checks, and when each runs next.
pub(crate) struct Scheduler {
    ctx: Arc<Context>,
    slots: Vec<Slot>,
}

struct Slot {
    scheduled: ScheduledCheck,
    due: Instant,
    /// When it was started, while it runs.
    running: Option<(Timestamp, Instant)>,
    /// Whether it was reported to hang.
    hangs: bool,
    /// The metrics of its last run.
    metrics: Vec<Metric>,
}

impl Scheduler {
    /// Returns a scheduler for `checks`, all due now.
    pub(crate) fn new(ctx: Arc<Context>, checks: Vec<ScheduledCheck>) -> Self {
        let due = Instant::now();
        let slot = |scheduled| Slot { scheduled, due, running: None, hangs: false, metrics: Vec::new() };
        Self { ctx, slots: checks.into_iter().map(slot).collect() }
    }

    /// Starts every check that is due. Their reports arrive through `to`.
    ///
    /// # Errors
    /// Unavailable (69) when a thread cannot be started.
    pub(crate) fn start_due<M: From<Completed> + Send + 'static>(&mut self, to: &Sender<M>) -> Result<()> {
        let now = Instant::now();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.due > now {
                continue;
            }
            let Some(mut check) = slot.scheduled.check.take() else { continue };
            slot.due = now + self.ctx.args.interval * slot.scheduled.every;
            slot.running = Some((Timestamp::now(), now));
            let (ctx, to) = (Arc::clone(&self.ctx), to.clone());
            let work = move || {
                let report = check.check(&ctx);
                // At the end of the process nobody receives this.
                let _received = to.send(Completed { index, check, report }.into());
            };
            let thread = thread::Builder::new().name(slot.scheduled.name.to_owned()).stack_size(STACK);
            thread
                .spawn(work)
                .or_fail(Exit::Unavailable, || format!("starting the check {}", slot.scheduled.name))?;
        }
        Ok(())
    }

    /// Takes a completed check back and returns its report.
    pub(crate) fn finish(&mut self, completed: Completed) -> Report {
        let Completed { index, check, mut report } = completed;
        let slot = &mut self.slots[index];
        slot.scheduled.check = Some(check);
        slot.running = None;
        slot.metrics = std::mem::take(&mut report.metrics);
        // The report of a check that hung is old, so it runs again soon.
        if std::mem::take(&mut slot.hangs) {
            slot.due = slot.due.min(Instant::now() + PRESSING);
        }
        if slot.scheduled.every > 1 {
            // Minutes pass between two of its runs, so its findings do not oscillate.
            report.findings.iter_mut().for_each(|finding| finding.calm = 1);
        }
        report.found(Finding::ok(
            id_of(slot.scheduled.name),
            format!("The check `{}` completes in time.", slot.scheduled.name),
        ));
        report
    }

    /// Returns a finding for each check that has exceeded its limit since the last call.
    pub(crate) fn overdue(&mut self) -> Vec<Finding> {
        let late = |slot: &mut Slot| {
            let (since, _) =
                slot.running.filter(|(_, began)| !slot.hangs && began.elapsed() > slot.scheduled.limit)?;
            slot.hangs = true;
            let name = slot.scheduled.name;
            let sentence =
                format!("The check `{name}` has been running since {}.", nexus_cli::text::moment(since));
            let advice = "What the check reads does not respond: a disk, a server, or systemd. See: journalctl -u nexus-health";
            // Reports at once: the check has already exceeded its limit.
            Some(Finding::unknown(id_of(name), sentence, advice).patient(1))
        };
        self.slots.iter_mut().filter_map(late).collect()
    }

    /// Returns the metrics of each check's last run. Leaves out checks that hang, because an old value looks like a current one.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.slots.iter().filter(|slot| !slot.hangs).flat_map(|slot| slot.metrics.iter().cloned()).collect()
    }

    /// Makes the urgent checks run every few seconds.
    pub(crate) fn hurry(&mut self) {
        let soon = Instant::now() + PRESSING.min(self.ctx.args.interval);
        for slot in self.slots.iter_mut().filter(|slot| slot.scheduled.is_urgent) {
            slot.due = slot.due.min(soon);
        }
    }

    /// Returns whether a check runs within its limit.
    pub(crate) fn is_waiting(&self) -> bool {
        self.slots.iter().any(|slot| slot.running.is_some() && !slot.hangs)
    }

    /// Returns when a check is due next, or exceeds its limit.
    pub(crate) fn next(&self) -> Instant {
        let next = |slot: &Slot| match slot.running {
            Some(_) if slot.hangs => None,
            Some((_, began)) => Some(began + slot.scheduled.limit + Duration::from_millis(1)),
            None => Some(slot.due),
        };
        self.slots.iter().filter_map(next).min().unwrap_or_else(|| Instant::now() + self.ctx.args.interval)
    }
}

/// Returns the name of the finding about the check itself.
fn id_of(check: &str) -> String {
    format!("check-{check}")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    use clap::Parser;

    use super::*;
    use crate::args::Args;
    use crate::level::FindingLevel;

    /// A check that waits until its gate opens, and measures one thing.
    struct Hangs(Arc<Mutex<()>>, Sender<()>);

    impl Check for Hangs {
        fn check(&mut self, _: &Context) -> Report {
            self.1.send(()).unwrap();
            drop(self.0.lock());
            Report { metrics: vec![Metric::one("slow", "One.", 1.0)], ..Report::default() }
        }
    }

    fn scheduled(check: Box<dyn Check>, limit: Duration) -> ScheduledCheck {
        ScheduledCheck { name: "slow", every: 1, is_urgent: true, limit, check: Some(check) }
    }

    #[test]
    fn a_check_that_hangs_is_reported_and_not_started_again() {
        let args = Args::parse_from(["nexus-health", "--interval=1s"]);
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let (started, starts) = channel();
        let check = Box::new(Hangs(Arc::clone(&gate), started));
        let mut scheduler =
            Scheduler::new(Arc::new(Context::new(args)), vec![scheduled(check, Duration::ZERO)]);
        let (to, reports): (Sender<Completed>, Receiver<Completed>) = channel();
        scheduler.start_due(&to).unwrap();
        starts.recv().unwrap();
        let late = scheduler.overdue();
        assert_eq!(
            late.iter().map(|f| (f.id.as_str(), f.level)).collect::<Vec<_>>(),
            [("check-slow", FindingLevel::Unknown)]
        );
        assert!(scheduler.overdue().is_empty() && !scheduler.is_waiting());
        scheduler.slots[0].due = Instant::now();
        scheduler.start_due(&to).unwrap();
        drop(held);
        let report = scheduler.finish(reports.recv().unwrap());
        assert_eq!(report.findings[0].level, FindingLevel::Ok);
        assert!(starts.try_recv().is_err(), "it was started twice");
        scheduler.slots[0].due = Instant::now();
        scheduler.start_due(&to).unwrap();
        starts.recv().unwrap();
    }

    #[test]
    fn a_check_that_hangs_has_no_metrics() {
        let (gate, (started, starts)) = (Arc::new(Mutex::new(())), channel());
        let args = Args::parse_from(["nexus-health", "--interval=1s"]);
        let check = Box::new(Hangs(Arc::clone(&gate), started));
        let mut scheduler =
            Scheduler::new(Arc::new(Context::new(args)), vec![scheduled(check, Duration::ZERO)]);
        let (to, reports): (Sender<Completed>, Receiver<Completed>) = channel();
        scheduler.start_due(&to).unwrap();
        scheduler.finish(reports.recv().unwrap());
        assert_eq!(scheduler.metrics().len(), 1);
        let held = gate.lock().unwrap();
        scheduler.slots[0].due = Instant::now();
        scheduler.start_due(&to).unwrap();
        assert_eq!((scheduler.overdue().len(), scheduler.metrics().len()), (1, 0));
        drop(held);
        scheduler.finish(reports.recv().unwrap());
        assert_eq!((scheduler.metrics().len(), starts.iter().take(2).count()), (1, 2));
    }
}
