//! Delivers pending messages, channel by channel. A message that a channel does not accept stays for the next run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::journal::message_id;

use crate::alert::Alert;
use crate::channel::Channel;
use crate::channels::{Channels, journal};
use crate::incident::{AlertKind, Incident, Pending};
use crate::store::Store;
use crate::subject::Subject;
use crate::summary::{Sent, Summary, Unsent};
use crate::test_outcome;

/// After this many unsent messages, a channel waits for the next run: each may have cost a whole timeout.
const MOST_UNSENT: usize = 3;

/// Sends the messages that are due at `now` through the channels in `by`. Errors with one incident, and messages that were not
/// accepted, go into the summary and do not stop the others.
///
/// # Errors
/// I/O of the queue.
pub(crate) fn pending(store: &Store, channels: &Channels, by: &[Channel], now: Timestamp) -> Result<Summary> {
    let mut summary = Summary::default();
    let all = store.lock()?.all()?;
    for subject in &all {
        summary.note(drop_unconfigured(store, channels, subject).map(|()| Vec::new()));
    }
    for channel in by {
        // Another run that is sending through this channel finishes first; this one sends what is left.
        let _lock = store.lock_channel(*channel)?;
        let before = summary.unsent.len();
        for subject in &all {
            if summary.unsent.len() - before >= MOST_UNSENT {
                log::warn!(
                    "{channel} has not accepted {MOST_UNSENT} messages; the others wait for the next run"
                );
                break;
            }
            if let Err(failure) = one(store, channels, subject, *channel, now, &mut summary) {
                summary.note(Err(failure));
            }
        }
    }
    Ok(summary)
}

fn drop_unconfigured(store: &Store, channels: &Channels, subject: &Subject) -> Result<()> {
    let locked = store.lock()?;
    let Some(before) = locked.incident(subject)? else { return Ok(()) };
    let mut incident = before.clone();
    incident.retain_channels(&channels.configured());
    // What is in the spare directory moves back, if there is room now.
    if incident != before || incident.is_done() || locked.is_spared(subject) {
        locked.save(&incident)?;
    }
    Ok(())
}

/// Sends the pending message of one incident through one channel. Locks only the channel meanwhile: a slow server must not
/// keep another alert from being queued.
fn one(
    store: &Store,
    channels: &Channels,
    subject: &Subject,
    channel: Channel,
    now: Timestamp,
    summary: &mut Summary,
) -> Result<()> {
    let (alert, Pending { number, .. }) = {
        let locked = store.lock()?;
        let Some(incident) = locked.incident(subject)? else { return Ok(()) };
        let Some(pending) = incident.due(channel, now) else { return Ok(()) };
        (Alert::of(&incident, pending.kind, pending.number, locked.others(subject)?), pending.clone())
    };
    let outcome = channels.send(channel, &alert);
    let refusal = outcome.as_ref().err().map(Refusal::of);
    match outcome {
        Ok(()) => {
            log::info!(NEXUS_JOB = "alert", NEXUS_ABOUT = subject.to_string(); "sent by {channel}: {subject}");
            summary.sent.push(Sent { subject: subject.clone(), channel });
        }
        Err(failure) => summary.unsent.push(Unsent::new(subject.clone(), channel, &failure)),
    }
    // A message that was accepted but not recorded would be sent twice. A disk may fail once, so this tries twice.
    record(store, subject, channel, number, now, refusal.as_ref())
        .or_else(|_| record(store, subject, channel, number, now, refusal.as_ref()))
}

/// Why a channel did not accept a message.
struct Refusal {
    why: String,
    /// Whether the server would always refuse it, because the message cannot be made short enough.
    is_final: bool,
}

impl Refusal {
    fn of(failure: &Failure) -> Self {
        Self { why: failure.to_string(), is_final: failure.exit() == Exit::CannotCreate }
    }
}

/// Records the outcome of a message.
fn record(
    store: &Store,
    subject: &Subject,
    channel: Channel,
    number: u64,
    now: Timestamp,
    refusal: Option<&Refusal>,
) -> Result<()> {
    let locked = store.lock()?;
    let Some(mut incident) = locked.incident(subject)? else { return Ok(()) };
    match refusal {
        None => incident.mark_sent(channel, number),
        Some(Refusal { why, is_final }) => {
            let is_dropped = incident.mark_unsent(channel, number, *is_final, now);
            let then = match (is_dropped, is_final) {
                (false, _) => "kept for another try",
                (true, false) => "given up, a week after it was over",
                (true, true) => "given up; it is in the journal",
            };
            warn(subject, channel, why, is_dropped, then);
        }
    }
    let noted = if *subject == Subject::Test {
        incident.outcomes.insert(channel, refusal.map(|refusal| refusal.why.clone()));
        record_test(store, &incident)
    } else {
        Ok(())
    };
    locked.save(&incident).and(noted)
}

fn warn(subject: &Subject, channel: Channel, why: &str, is_dropped: bool, then: &str) {
    let id = if is_dropped { message_id::ALERT_GIVEN_UP } else { message_id::ALERT_KEPT };
    log::warn!(
        MESSAGE_ID = id,
        NEXUS_JOB = "alert",
        NEXUS_ABOUT = subject.to_string();
        "the alert about {subject} could not be sent by {channel} ({then}): {why}"
    );
}

/// Writes the outcome of the test once every channel has been tried, and again whenever it changes.
fn record_test(store: &Store, test: &Incident) -> Result<()> {
    if test.pending.keys().all(|channel| test.outcomes.contains_key(channel)) {
        test_outcome::write(store.directory(), test.began, &test.outcomes)
    } else {
        Ok(())
    }
}

/// Sends a test alert through the configured channels in `by`, without the queue, and records the outcome.
///
/// # Errors
/// Settings (78) when no channel is configured; I/O.
pub(crate) fn test(store: &Store, channels: &Channels, by: &[Channel]) -> Result<Summary> {
    let set = channels.configured();
    if set.is_empty() && !channels.wall {
        return Err(Failure::new(Exit::Settings, "sending a test alert")
            .because("no alert channel is configured, so failures appear only in the journal")
            .advise("Set one of NEXUS_ALERT_… in /etc/nexus/nexus.env"));
    }
    let test = Incident::test(&set, Timestamp::now());
    let alert = Alert::of(&test, AlertKind::Test, 1, store.lock()?.others(&Subject::Test)?);
    journal::send(&alert, channels.wall)?;
    let mut summary = Summary::of(vec![alert.clone()]);
    let mut outcomes = BTreeMap::new();
    for channel in by.iter().copied().filter(|channel| set.contains(channel)) {
        let outcome = channels.send(channel, &alert);
        outcomes.insert(channel, outcome.as_ref().err().map(ToString::to_string));
        match outcome {
            Ok(()) => summary.sent.push(Sent { subject: Subject::Test, channel }),
            Err(failure) => {
                log::warn!("the test alert could not be sent by {channel}: {failure}");
                summary.unsent.push(Unsent::new(Subject::Test, channel, &failure));
            }
        }
    }
    // A test of some channels does not replace the outcome of all.
    if outcomes.len() == set.len() {
        test_outcome::write(store.directory(), test.began, &outcomes)?;
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::channels::{Format, RunAs};
    use crate::details::Details;

    #[test]
    fn an_unchanged_incident_moves_back_to_the_disk_once_there_is_room() {
        let (disk, spare) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::at(disk.path(), spare.path()).unwrap();
        let channels = Channels {
            mail: None,
            command: None,
            webhook: Some(Format::Json),
            timeout: Duration::from_secs(1),
            wall: false,
            run_as: RunAs::owner_of(disk.path()).unwrap(),
        };
        let (subject, now): (Subject, _) = ("nexus-backup.service".parse().unwrap(), Timestamp::now());
        let incident = Incident::open(subject, Details::default(), &channels.configured(), now);
        let in_the_way = disk.path().join("nexus-backup.service.json.partial");
        fs::create_dir(&in_the_way).unwrap();
        store.lock().unwrap().save(&incident).unwrap();
        let is_spared = || {
            pending(&store, &channels, &[], now).unwrap();
            store.lock().unwrap().is_spared(&incident.subject)
        };
        assert!(is_spared());
        fs::remove_dir(in_the_way).unwrap();
        assert!(!is_spared());
        assert_eq!(store.lock().unwrap().incident(&incident.subject).unwrap().as_ref(), Some(&incident));
    }
}
