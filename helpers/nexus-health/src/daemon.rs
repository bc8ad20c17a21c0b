//! The loop: it sends the checks off, takes what they bring, tells what has changed, mends what may be mended, and tells
//! systemd that it lives. Nothing in it waits for anything but the next event.

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
use crate::finding::Finding;
use crate::heal::budget::{Budget, Leave};
use crate::heal::hand;
use crate::heal::plan::{Action, Known};
use crate::look::{Ctx, Look};
use crate::rounds::{Report, Rounds};
use crate::tell::document::{Document, Healing};
use crate::tell::{Files, journal};
use crate::verdict::Verdict;

/// The loop comes round at least so often, whatever the interval, and tells systemd that it lives.
const BEAT: Duration = Duration::from_secs(10);

/// News are told so soon, whoever is still away: while a server hangs there is always a check that waits for it.
const LATEST: Duration = Duration::from_secs(5);

/// Threads that do one small thing.
const SMALL_STACK: usize = 128 << 10;

/// What the loop waits for.
enum Event {
    Report(Report),
    /// The hand has done it, or not.
    Done(Action, Result<()>),
    Stop,
}

impl From<Report> for Event {
    fn from(report: Report) -> Self {
        Self::Report(report)
    }
}

/// Everything the loop keeps.
struct Daemon {
    ctx: Arc<Ctx>,
    rounds: Rounds,
    verdict: Verdict,
    known: Known,
    budget: Budget,
    /// What the hand is doing.
    mending: Option<Action>,
    files: Files,
    /// Whether there is something new to write.
    is_news: bool,
    /// When it was last written.
    told: Instant,
    is_ready: bool,
    to: Sender<Event>,
}

/// Runs until SIGTERM.
///
/// # Errors
/// When it cannot begin: no signals, no threads.
pub(crate) fn run(args: Args) -> Result<()> {
    let (to, events) = channel();
    stop_on_signals(&to)?;
    let before = nexus_problems::read(&args.run_dir.join("problems.json")).unwrap_or_default();
    let ctx = Arc::new(Ctx::new(args));
    let mut daemon = Daemon {
        rounds: Rounds::new(Arc::clone(&ctx), check::all()),
        ctx,
        verdict: Verdict::resumed(before),
        known: Known::default(),
        budget: Budget::default(),
        mending: None,
        files: Files::default(),
        is_news: false,
        told: Instant::now(),
        is_ready: false,
        to,
    };
    log::info!("watching, every {}", humantime::format_duration(daemon.ctx.args.interval));
    while daemon.round(&events)? {}
    log::info!("stopped");
    Ok(())
}

impl Daemon {
    /// One time round; false when it is to stop.
    fn round(&mut self, events: &Receiver<Event>) -> Result<bool> {
        self.rounds.send_off(&self.to)?;
        let wait = self.rounds.next().saturating_duration_since(Instant::now()).min(BEAT);
        let mut next = match events.recv_timeout(wait) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            // It holds a sender itself.
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        };
        while let Some(event) = next {
            match event {
                Event::Stop => {
                    self.leave();
                    return Ok(false);
                }
                Event::Report(report) => {
                    let look = self.rounds.take(report);
                    self.learn(look);
                }
                Event::Done(action, outcome) => self.mended(action, outcome),
            }
            next = events.try_recv().ok();
        }
        let overdue = self.rounds.overdue();
        self.observe(overdue);
        self.mend();
        if self.known.is_pressing() || self.budget.is_fresh(Instant::now()) {
            self.rounds.press();
        }
        // Those that were sent off together are told of together; the first time it must be all.
        if !self.rounds.is_waiting() || (self.is_ready && self.told.elapsed() > LATEST) {
            self.tell();
        }
        // From here alone: a loop that hangs is ended by systemd.
        notify(&[NotifyState::Watchdog]);
        Ok(true)
    }

    /// What the journal has had already is in the files too: the next process goes on from there.
    fn leave(&mut self) {
        if self.is_ready {
            self.tell();
        }
    }

    fn learn(&mut self, look: Look) {
        let now = Instant::now();
        for fact in look.facts {
            self.known.note(fact, now);
        }
        self.is_news = true;
        self.observe(look.findings);
    }

    fn observe(&mut self, findings: Vec<Finding>) {
        self.is_news |= !findings.is_empty();
        for change in self.verdict.observe(findings, Timestamp::now()) {
            journal::change(&change);
        }
    }

    fn mend(&mut self) {
        let now = Instant::now();
        if self.ctx.args.heal == OnOff::Off || self.mending.is_some() {
            return;
        }
        let Some((action, why)) = self.known.action(now) else {
            if self.is_news {
                self.observe(vec![Finding::ok("healing", "There is nothing to mend.")]);
            }
            return;
        };
        match self.budget.leave(action, self.ctx.args.heal_per_hour, now) {
            Leave::Later => {}
            Leave::UsedUp => {
                let sentence =
                    format!("{action} has not helped, and is not tried again within the hour: {why}.");
                let advice =
                    "A person must look: journalctl -u nexus-health; docker logs nexus-postgres nexus-redis";
                self.observe(vec![Finding::critical("healing", sentence, advice)]);
            }
            Leave::Given => {
                self.budget.spend(action, now);
                self.mending = Some(action);
                journal::mending(action, &why);
                if let Err(failure) = self.lend_a_hand(action, why) {
                    self.mended(action, Err(failure));
                }
            }
        }
    }

    /// Does it in a thread of its own: Docker may take its time.
    fn lend_a_hand(&self, action: Action, why: String) -> Result<()> {
        let (ctx, to) = (Arc::clone(&self.ctx), self.to.clone());
        let work = move || {
            let outcome = hand::carry_out(action, &why, &ctx.args);
            // Nobody listens any more at the end of the process.
            let _unheard = to.send(Event::Done(action, outcome));
        };
        let thread = thread::Builder::new().name("hand".to_owned()).stack_size(SMALL_STACK);
        thread.spawn(work).map(drop).or_fail(Exit::Unavailable, || "starting a thread")
    }

    fn mended(&mut self, action: Action, outcome: Result<()>) {
        self.mending = None;
        self.known.forget(action);
        match outcome {
            Ok(()) => log::info!("{action} is done"),
            // A job is at it, which is no failure.
            Err(failure) if failure.exit() == Exit::TryLater => log::info!("{action} waits: {failure}"),
            Err(failure) => journal::not_mended(action, &failure),
        }
    }

    fn tell(&mut self) {
        if !std::mem::take(&mut self.is_news) {
            return;
        }
        if !self.is_ready {
            // What a former process had told of and no look speaks of any more is over.
            self.verdict.forget_unseen();
        }
        self.told = Instant::now();
        let args = &self.ctx.args;
        let healing =
            Healing { is_on: args.heal == OnOff::On, within_an_hour: self.budget.count(Instant::now()) };
        let document = Document::new(&self.verdict, &self.rounds.metrics(), healing, Timestamp::now());
        for failure in self.files.write(&document, self.verdict.problems(), args) {
            journal::not_told(&failure);
        }
        let status = match self.files.unwritten() {
            0 => document.sentence,
            _ => format!("{} What is known cannot be written to its files.", document.sentence),
        };
        notify(&[NotifyState::Status(&status)]);
        if !std::mem::replace(&mut self.is_ready, true) {
            notify(&[NotifyState::Ready]);
        }
    }
}

fn stop_on_signals(to: &Sender<Event>) -> Result<()> {
    let doing = || "setting the handler for SIGTERM and SIGINT";
    let mut signals = Signals::new([SIGTERM, SIGINT]).or_fail(Exit::Software, doing)?;
    let to = to.clone();
    let work = move || {
        signals.forever().next();
        let _unheard = to.send(Event::Stop);
    };
    let thread = thread::Builder::new().name("signals".to_owned()).stack_size(SMALL_STACK);
    thread.spawn(work).map(drop).or_fail(Exit::Unavailable, doing)
}

/// Without systemd there is nobody to tell; a lost datagram is followed by the next.
fn notify(state: &[NotifyState<'_>]) {
    let _unheard: std::io::Result<()> = sd_notify::notify(state);
}
