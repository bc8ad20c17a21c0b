//! The main loop: starts checks, takes their reports, publishes changes, repairs what it may, and notifies systemd's watchdog.
//! It waits for nothing but the next event.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nexus_cli::failure::{Exit, OrFail, Result};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::args::{Args, OnOff};
use crate::check;
use crate::context::Context;
use crate::finding::Finding;
use crate::heal::budget::{Budget, Permit};
use crate::heal::executor;
use crate::heal::plan::{Action, Observations};
use crate::publish::document::{Document, Healing};
use crate::publish::{Files, journal};
use crate::report::Report;
use crate::scheduler::{Completed, Scheduler};
use crate::verdict::Verdict;

/// The longest time between two notifications of the watchdog.
const BEAT: Duration = Duration::from_secs(10);

/// The longest time before changes are published while some checks still run. While a server hangs, some check always waits
/// for it.
const PUBLISH_WITHIN: Duration = Duration::from_secs(5);

/// The stack size of threads that do one small thing.
const SMALL_STACK: usize = 128 << 10;

/// What the loop waits for.
enum Event {
    Completed(Completed),
    /// The executor has finished.
    Done(Action, Result<()>),
    Stop,
}

impl From<Completed> for Event {
    fn from(completed: Completed) -> Self {
        Self::Completed(completed)
    }
}

/// The state of the loop.
struct Daemon {
    ctx: Arc<Context>,
    scheduler: Scheduler,
    verdict: Verdict,
    observations: Observations,
    budget: Budget,
    /// The action that the executor is running.
    running: Option<Action>,
    files: Files,
    /// Whether there is something new to publish.
    is_news: bool,
    /// When it was last published.
    published: Instant,
    is_ready: bool,
    events: Sender<Event>,
}

/// Runs until SIGTERM.
///
/// # Errors
/// When it cannot handle signals or start threads.
pub(crate) fn run(args: Args) -> Result<()> {
    let (sender, events) = channel();
    stop_on_signals(&sender)?;
    let before = nexus_problems::read(&args.run_dir.join("problems.json")).unwrap_or_default();
    let ctx = Arc::new(Context::new(args));
    let mut daemon = Daemon {
        scheduler: Scheduler::new(Arc::clone(&ctx), check::all()),
        ctx,
        verdict: Verdict::resumed(before),
        observations: Observations::default(),
        budget: Budget::default(),
        running: None,
        files: Files::default(),
        is_news: false,
        published: Instant::now(),
        is_ready: false,
        events: sender,
    };
    log::info!("watching, every {}", humantime::format_duration(daemon.ctx.args.interval));
    while daemon.round(&events)? {}
    log::info!("stopped");
    Ok(())
}

impl Daemon {
    /// Handles the next events. Returns false to stop.
    fn round(&mut self, events: &Receiver<Event>) -> Result<bool> {
        self.scheduler.start_due(&self.events)?;
        let wait = self.scheduler.next().saturating_duration_since(Instant::now()).min(BEAT);
        let mut next = match events.recv_timeout(wait) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            // Unreachable: `self.events` is a sender.
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        };
        while let Some(event) = next {
            match event {
                Event::Stop => {
                    self.stop();
                    return Ok(false);
                }
                Event::Completed(completed) => {
                    let report = self.scheduler.finish(completed);
                    self.learn(report);
                }
                Event::Done(action, outcome) => self.finish(action, outcome),
            }
            next = events.try_recv().ok();
        }
        let overdue = self.scheduler.overdue();
        self.observe(overdue);
        self.repair();
        if self.observations.is_pressing() || self.budget.is_fresh(Instant::now()) {
            self.scheduler.hurry();
        }
        // Checks that were started together are published together; the first time, all must be there.
        if !self.scheduler.is_waiting() || (self.is_ready && self.published.elapsed() > PUBLISH_WITHIN) {
            self.publish();
        }
        // Only here, so that systemd kills a loop that hangs.
        notify(&[NotifyState::Watchdog]);
        Ok(true)
    }

    /// Writes to the files what the journal already has, so that the next process continues from there.
    fn stop(&mut self) {
        if self.is_ready {
            self.publish();
        }
    }

    fn learn(&mut self, report: Report) {
        let now = Instant::now();
        for fact in report.facts {
            self.observations.note(fact, now);
        }
        self.is_news = true;
        self.observe(report.findings);
    }

    fn observe(&mut self, findings: Vec<Finding>) {
        self.is_news |= !findings.is_empty();
        for change in self.verdict.observe(findings, Timestamp::now()) {
            journal::change(&change);
        }
    }

    fn repair(&mut self) {
        let now = Instant::now();
        if self.ctx.args.heal == OnOff::Off || self.running.is_some() {
            return;
        }
        let Some((action, why)) = self.observations.action(now) else {
            if self.is_news {
                self.observe(vec![Finding::ok("healing", "There is nothing to repair.")]);
            }
            return;
        };
        match self.budget.permit(action, self.ctx.args.heal_per_hour, now) {
            Permit::TooSoon => {}
            Permit::UsedUp => {
                let sentence =
                    format!("{action} has not helped, and is not tried again within the hour: {why}.");
                let advice = "Look for the cause: journalctl -u nexus-health; docker logs nexus-postgres; docker logs nexus-redis";
                self.observe(vec![Finding::critical("healing", sentence, advice)]);
            }
            Permit::Granted => {
                self.budget.spend(action, now);
                self.running = Some(action);
                journal::repairing(action, &why);
                if let Err(failure) = self.start(action, why) {
                    self.finish(action, Err(failure));
                }
            }
        }
    }

    /// Runs the executor in a thread, because Docker may be slow.
    fn start(&self, action: Action, why: String) -> Result<()> {
        let (ctx, events) = (Arc::clone(&self.ctx), self.events.clone());
        let work = move || {
            let outcome = executor::execute(action, &why, &ctx.args);
            // At the end of the process nobody receives this.
            let _received = events.send(Event::Done(action, outcome));
        };
        let thread = thread::Builder::new().name("executor".to_owned()).stack_size(SMALL_STACK);
        thread.spawn(work).map(drop).or_fail(Exit::Unavailable, || "starting a thread")
    }

    fn finish(&mut self, action: Action, outcome: Result<()>) {
        self.running = None;
        self.observations.forget(action);
        match outcome {
            Ok(()) => log::info!("{action} is done"),
            // A job holds the lock, which is no failure.
            Err(failure) if failure.exit() == Exit::TryLater => log::info!("{action} waits: {failure}"),
            Err(failure) => journal::not_repaired(action, &failure),
        }
    }

    fn publish(&mut self) {
        if !std::mem::take(&mut self.is_news) {
            return;
        }
        if !self.is_ready {
            // Drops what an earlier process published and no check reports any more.
            self.verdict.forget_unseen();
        }
        self.published = Instant::now();
        let args = &self.ctx.args;
        let healing =
            Healing { is_on: args.heal == OnOff::On, within_an_hour: self.budget.count(Instant::now()) };
        let document = Document::new(&self.verdict, &self.scheduler.metrics(), healing, Timestamp::now());
        for failure in self.files.write(&document, self.verdict.problems(), args) {
            journal::not_published(&failure);
        }
        let status = match self.files.unwritten() {
            0 => document.sentence,
            1.. => format!("{} The results cannot be written to their files.", document.sentence),
        };
        notify(&[NotifyState::Status(&status)]);
        if !std::mem::replace(&mut self.is_ready, true) {
            notify(&[NotifyState::Ready]);
        }
    }
}

fn stop_on_signals(events: &Sender<Event>) -> Result<()> {
    let doing = || "setting the handler for SIGTERM and SIGINT";
    let mut signals = Signals::new([SIGTERM, SIGINT]).or_fail(Exit::Software, doing)?;
    let events = events.clone();
    let work = move || {
        signals.forever().next();
        let _received = events.send(Event::Stop);
    };
    let thread = thread::Builder::new().name("signals".to_owned()).stack_size(SMALL_STACK);
    thread.spawn(work).map(drop).or_fail(Exit::Unavailable, doing)
}

/// Notifies systemd, if it runs this process. The next notification replaces a lost one.
fn notify(state: &[NotifyState<'_>]) {
    let _sent: std::io::Result<()> = sd_notify::notify(state);
}
