//! An incident, from its start until every channel knows that it is over: which message each channel gets, and when.
//!
//! A channel has at most one pending message. A newer message replaces an older one, and says when the incident began, how
//! often the unit failed, and whether it is over. So the queue cannot grow while the network is down.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nexus_problems::Level;
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::details::Details;
use crate::subject::Subject;

/// The time between two messages about an incident that lasts.
const REMINDER: SignedDuration = SignedDuration::from_hours(24);

/// The pause before the first retry. The retry timer runs every minute. Each later pause is twice as long.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(45);

/// The longest pause between two retries.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// A message is dropped when it could not be sent for this long after the incident was over.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The kind of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AlertKind {
    /// A unit failed, or nexus-health found a problem.
    Failed,
    /// A warning became critical.
    #[serde(rename = "worse")]
    Escalated,
    /// The incident has lasted for another day.
    #[serde(rename = "still")]
    Reminder,
    /// The incident is over.
    #[serde(rename = "over")]
    Resolved,
    /// A test of the channels.
    Test,
}

/// A message that a channel has not accepted yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) kind: AlertKind,
    /// The number of the message within its incident, from 1.
    pub(crate) number: u64,
    /// How often it could not be sent.
    pub(crate) tries: u32,
    /// When it may be sent next.
    pub(crate) not_before: Timestamp,
}

/// An incident as it is on disk: one file, which exists while the incident lasts or a message is pending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Incident {
    #[serde(rename = "about")]
    pub(crate) subject: Subject,
    pub(crate) began: Timestamp,
    /// When the unit last failed.
    #[serde(rename = "last")]
    pub(crate) last_failure: Timestamp,
    /// How often the unit has failed since `began`.
    pub(crate) failures: u64,
    /// When the last message was queued.
    #[serde(rename = "told")]
    pub(crate) notified: Timestamp,
    /// The number of the last message.
    pub(crate) messages: u64,
    /// The worst level that a message has reported.
    pub(crate) worst: Option<Level>,
    /// When it was over; `None` while it lasts.
    #[serde(rename = "over")]
    pub(crate) resolved: Option<Timestamp>,
    /// The newest details.
    #[serde(rename = "facts")]
    pub(crate) details: Details,
    #[serde(rename = "owed")]
    pub(crate) pending: BTreeMap<Channel, Pending>,
    /// The result of a test by channel: the error, or `None` if the channel accepted it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) outcomes: BTreeMap<Channel, Option<String>>,
}

impl Incident {
    /// Opens an incident and queues its first message.
    pub(crate) fn open(subject: Subject, details: Details, channels: &[Channel], now: Timestamp) -> Self {
        let mut incident = Self::new(subject, details, now);
        incident.notify(AlertKind::Failed, channels, now);
        incident
    }

    /// Queues a test alert, as an incident that is already over.
    pub(crate) fn test(channels: &[Channel], now: Timestamp) -> Self {
        let mut incident = Self::new(Subject::Test, Details::default(), now);
        incident.resolved = Some(now);
        incident.notify(AlertKind::Test, channels, now);
        incident
    }

    /// Returns an incident whose file was damaged, for the reason `why`. Nobody knows which messages were sent, so the
    /// next check sends one, as a reminder or as the end.
    pub(crate) fn recovered(subject: Subject, why: &str, now: Timestamp) -> Self {
        let lines = vec![format!("(its record was damaged: {why})")];
        let mut incident = Self::new(subject, Details { lines, ..Details::default() }, now);
        incident.notified = Timestamp::UNIX_EPOCH;
        incident.last_failure = Timestamp::UNIX_EPOCH;
        incident
    }

    fn new(subject: Subject, details: Details, now: Timestamp) -> Self {
        Self {
            subject,
            began: details.since().map_or(now, |since| since.min(now)),
            last_failure: now,
            failures: 1,
            notified: now,
            messages: 0,
            worst: None,
            resolved: None,
            details,
            pending: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        }
    }

    /// Records another failure of the unit. Returns the kind of the message that it queued, if any.
    pub(crate) fn record_failure(
        &mut self,
        details: Details,
        channels: &[Channel],
        now: Timestamp,
    ) -> Option<AlertKind> {
        self.failures = self.failures.saturating_add(1);
        self.last_failure = now;
        self.update(details, channels, now)
    }

    /// Records that the incident lasts or is worse. Returns the kind of the message that it queued, if any.
    pub(crate) fn update(
        &mut self,
        details: Details,
        channels: &[Channel],
        now: Timestamp,
    ) -> Option<AlertKind> {
        if self.resolved.is_some() {
            // The message that it was over is still pending. This is another incident; its messages continue the numbers.
            let messages = self.messages;
            *self = Self::new(self.subject.clone(), details, now);
            self.messages = messages;
            self.notify(AlertKind::Failed, channels, now);
            return Some(AlertKind::Failed);
        }
        self.details = details;
        if self.worst.is_some() && self.details.level() > self.worst {
            self.notify(AlertKind::Escalated, channels, now);
            return Some(AlertKind::Escalated);
        }
        self.remind(channels, now)
    }

    /// Queues the daily reminder if it is due.
    pub(crate) fn remind(&mut self, channels: &[Channel], now: Timestamp) -> Option<AlertKind> {
        let since = now.duration_since(self.notified);
        // After the clock was set back the day starts again, so that no reminder is lost.
        let is_due = self.resolved.is_none() && (since >= REMINDER || since.is_negative());
        is_due.then(|| {
            self.notify(AlertKind::Reminder, channels, now);
            AlertKind::Reminder
        })
    }

    /// Records that the incident is over. Returns `None` if it already was.
    pub(crate) fn resolve(&mut self, channels: &[Channel], now: Timestamp) -> Option<AlertKind> {
        self.resolved.is_none().then(|| {
            self.resolved = Some(now);
            self.notify(AlertKind::Resolved, channels, now);
            AlertKind::Resolved
        })
    }

    fn notify(&mut self, kind: AlertKind, channels: &[Channel], now: Timestamp) {
        self.notified = now;
        self.messages = self.messages.saturating_add(1);
        self.worst = self.worst.max(self.details.level());
        for channel in channels {
            // A channel that has not had the first message gets that one, not a reminder.
            let is_first = self.pending.get(channel).is_some_and(|pending| pending.kind == AlertKind::Failed);
            let kind = match kind {
                AlertKind::Escalated | AlertKind::Reminder if is_first => AlertKind::Failed,
                AlertKind::Failed
                | AlertKind::Escalated
                | AlertKind::Reminder
                | AlertKind::Resolved
                | AlertKind::Test => kind,
            };
            self.pending.insert(*channel, Pending { kind, number: self.messages, tries: 0, not_before: now });
        }
    }

    /// Returns the message that `channel` should get now.
    pub(crate) fn due(&self, channel: Channel, now: Timestamp) -> Option<&Pending> {
        let pending = self.pending.get(&channel)?;
        let wait = pending.not_before.duration_since(now);
        // A wait longer than any pause means that the clock was set back.
        (!wait.is_positive() || wait > LONGEST_PAUSE).then_some(pending)
    }

    /// Records that `channel` accepted message `number`. A newer message may have replaced it meanwhile; that one stays.
    pub(crate) fn mark_sent(&mut self, channel: Channel, number: u64) {
        if self.pending.get(&channel).is_some_and(|pending| pending.number == number) {
            self.pending.remove(&channel);
        }
    }

    /// Records that `channel` did not accept message `number`, or never will (`is_final`). Returns whether the message
    /// is dropped.
    pub(crate) fn mark_unsent(
        &mut self,
        channel: Channel,
        number: u64,
        is_final: bool,
        now: Timestamp,
    ) -> bool {
        let Some(pending) = self.pending.get_mut(&channel).filter(|pending| pending.number == number) else {
            return false;
        };
        let is_too_late = self.resolved.is_some_and(|resolved| now.duration_since(resolved) >= GIVE_UP);
        let is_dropped = is_final || is_too_late;
        if is_dropped {
            self.pending.remove(&channel);
        } else {
            pending.tries = pending.tries.saturating_add(1);
            let pause = FIRST_PAUSE.checked_mul(1 << (pending.tries - 1).min(20)).unwrap_or(LONGEST_PAUSE);
            pending.not_before = now + pause.min(LONGEST_PAUSE);
        }
        is_dropped
    }

    /// Drops messages queued for channels that are no longer configured.
    pub(crate) fn retain_channels(&mut self, channels: &[Channel]) {
        self.pending.retain(|channel, _| channels.contains(channel));
    }

    /// Returns whether the incident is over and no message is pending.
    pub(crate) fn is_done(&self) -> bool {
        self.resolved.is_some() && self.pending.is_empty()
    }
}
