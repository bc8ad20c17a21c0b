//! One alert when an incident opens, one when it is over, one a day between; no message is lost, and the queue stays small.

use proptest::prelude::*;

use super::*;
use crate::details::Reported;

const CHANNELS: [Channel; 2] = [Channel::Mail, Channel::Webhook];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn opened() -> Incident {
    Incident::open("nexus-backup.service".parse().unwrap(), Details::default(), &CHANNELS, at(0))
}

fn subject() -> Subject {
    "disk-backups.health".parse().unwrap()
}

fn finding(level: Level) -> Details {
    let (sentence, advice) = ("It is full.".to_owned(), "Empty it".to_owned());
    Details { reported: Some(Reported { level, sentence, advice, since: at(0) }), ..Details::default() }
}

fn due(incident: &Incident, channel: Channel, seconds: i64) -> Option<AlertKind> {
    incident.due(channel, at(seconds)).map(|pending| pending.kind)
}

/// Every channel accepts its pending message.
fn deliver(incident: &mut Incident) {
    for (channel, pending) in incident.pending.clone() {
        incident.mark_sent(channel, pending.number);
    }
}

#[test]
fn a_second_failure_within_a_day_queues_no_message() {
    let mut incident = opened();
    assert_eq!(incident.record_failure(Details::default(), &CHANNELS, at(3600)), None);
    assert_eq!((incident.failures, incident.last_failure), (2, at(3600)));
    assert_eq!(due(&incident, Channel::Mail, 3600), Some(AlertKind::Failed));
}

#[test]
fn a_lasting_incident_queues_a_reminder_once_a_day() {
    let mut incident = opened();
    deliver(&mut incident);
    assert_eq!(incident.remind(&CHANNELS, at(86_399)), None);
    assert_eq!(incident.remind(&CHANNELS, at(86_400)), Some(AlertKind::Reminder));
    assert_eq!(due(&incident, Channel::Webhook, 86_400), Some(AlertKind::Reminder));
    assert_eq!(incident.remind(&CHANNELS, at(86_401)), None);
    assert_eq!(incident.remind(&CHANNELS, at(2 * 86_400)), Some(AlertKind::Reminder));
}

#[test]
fn the_end_is_sent_once_and_then_the_incident_is_done() {
    let mut incident = opened();
    assert_eq!(incident.resolve(&CHANNELS, at(60)), Some(AlertKind::Resolved));
    assert_eq!(incident.resolve(&CHANNELS, at(61)), None);
    assert_eq!(incident.remind(&CHANNELS, at(200_000)), None);
    // A channel that missed the first message gets only the end; that message says when the incident began.
    assert_eq!(due(&incident, Channel::Mail, 61), Some(AlertKind::Resolved));
    assert!(!incident.is_done());
    deliver(&mut incident);
    assert!(incident.is_done());
}

#[test]
fn a_failure_after_the_end_is_another_incident() {
    let mut incident = opened();
    incident.resolve(&CHANNELS, at(60));
    assert_eq!(incident.record_failure(Details::default(), &CHANNELS, at(120)), Some(AlertKind::Failed));
    assert_eq!((incident.began, incident.failures, incident.resolved), (at(120), 1, None));
}

#[test]
fn a_message_queued_during_a_send_stays_pending() {
    let mut incident = opened();
    let first = incident.pending[&Channel::Mail].number;
    incident.resolve(&CHANNELS, at(60));
    incident.mark_sent(Channel::Mail, first);
    assert_eq!(due(&incident, Channel::Mail, 60), Some(AlertKind::Resolved));
}

#[test]
fn a_message_of_the_same_kind_queued_during_a_send_stays_pending() {
    let mut incident = opened();
    let first = incident.pending[&Channel::Mail].number;
    incident.resolve(&CHANNELS, at(60));
    incident.record_failure(Details::default(), &CHANNELS, at(120));
    incident.mark_sent(Channel::Mail, first);
    assert_eq!(due(&incident, Channel::Mail, 120), Some(AlertKind::Failed));
    assert!(
        !incident.mark_unsent(Channel::Mail, first, false, at(120))
            && incident.pending[&Channel::Mail].tries == 0
    );
}

#[test]
fn a_warning_that_becomes_critical_escalates_once() {
    let mut incident = Incident::open(subject(), finding(Level::Warning), &CHANNELS, at(0));
    deliver(&mut incident);
    assert_eq!(incident.update(finding(Level::Warning), &CHANNELS, at(1)), None);
    assert_eq!(incident.update(finding(Level::Critical), &CHANNELS, at(2)), Some(AlertKind::Escalated));
    deliver(&mut incident);
    for level in [Level::Critical, Level::Warning, Level::Critical] {
        assert_eq!(incident.update(finding(level), &CHANNELS, at(3)), None);
    }
    assert_eq!(incident.resolve(&CHANNELS, at(4)), Some(AlertKind::Resolved));
    assert_eq!(incident.update(finding(Level::Warning), &CHANNELS, at(5)), Some(AlertKind::Failed));
    assert_eq!(incident.update(finding(Level::Critical), &CHANNELS, at(6)), Some(AlertKind::Escalated));
}

#[test]
fn a_damaged_record_is_sent_as_a_reminder_or_as_the_end() {
    let mut incident = Incident::recovered(subject(), "it is empty", at(0));
    assert_eq!(incident.clone().resolve(&CHANNELS, at(0)), Some(AlertKind::Resolved));
    assert_eq!(incident.update(finding(Level::Warning), &CHANNELS, at(0)), Some(AlertKind::Reminder));
    assert_eq!(incident.remind(&CHANNELS, at(0)), None);
}

#[test]
fn a_test_is_done_once_every_channel_has_accepted_it() {
    let mut incident = Incident::test(&CHANNELS, at(0));
    assert_eq!(due(&incident, Channel::Mail, 0), Some(AlertKind::Test));
    assert_eq!(incident.remind(&CHANNELS, at(200_000)), None);
    deliver(&mut incident);
    assert!(incident.is_done());
}

#[test]
fn retries_back_off_and_stop_a_week_after_the_end() {
    let mut incident = opened();
    let mut now = at(0);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        assert!(!incident.mark_unsent(Channel::Webhook, 1, false, now));
        assert_eq!(incident.due(Channel::Webhook, now), None);
        let next = incident.pending[&Channel::Webhook].not_before;
        assert!(
            incident.due(Channel::Webhook, next).is_some_and(|pending| pending.kind == AlertKind::Failed)
        );
        pauses.push(next.duration_since(now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [45, 90, 180, 360, 720, 1440, 2880, 3600, 3600]);
    incident.resolve(&CHANNELS, at(0));
    assert!(!incident.mark_unsent(Channel::Webhook, 2, false, at(7 * 86_400 - 1)));
    assert!(incident.mark_unsent(Channel::Webhook, 2, false, at(7 * 86_400)));
    assert_eq!(due(&incident, Channel::Webhook, 8 * 86_400), None);
}

#[test]
fn a_clock_set_back_delays_no_message() {
    let mut incident = opened();
    assert_eq!(due(&incident, Channel::Mail, -90_000), Some(AlertKind::Failed));
    assert_eq!(incident.remind(&CHANNELS, at(-90_000)), Some(AlertKind::Reminder));
    assert_eq!(incident.remind(&CHANNELS, at(-90_000 + 86_400)), Some(AlertKind::Reminder));
}

#[test]
fn a_channel_no_longer_configured_has_no_pending_message() {
    let mut incident = opened();
    incident.retain_channels(&[Channel::Mail]);
    assert_eq!(incident.pending.keys().collect::<Vec<_>>(), [&Channel::Mail]);
}

#[derive(Clone, Debug)]
enum Step {
    Fails,
    Ends,
    Checks,
    Delivers(Channel),
    DoesNotDeliver(Channel),
    Waits(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let channel = || prop::sample::select(&CHANNELS[..]);
    prop_oneof![
        Just(Step::Fails),
        Just(Step::Ends),
        Just(Step::Checks),
        channel().prop_map(Step::Delivers),
        channel().prop_map(Step::DoesNotDeliver),
        (0_i64..100_000).prop_map(Step::Waits),
    ]
}

proptest! {
    /// Any sequence of events leaves at most one pending message a channel and at most one reminder a day, and every
    /// channel gets the end.
    #[test]
    fn every_sequence_of_events_sends_the_end_to_every_channel(steps in prop::collection::vec(step(), 1..80)) {
        let mut incident = opened();
        let mut now = at(0);
        let mut notified_at = at(0);
        for step in steps {
            let was_over = incident.resolved.is_some();
            match step {
                Step::Waits(seconds) => now += SignedDuration::from_secs(seconds),
                Step::Fails => {
                    if incident.record_failure(Details::default(), &CHANNELS, now).is_some() {
                        prop_assert!(was_over || now.duration_since(notified_at) >= REMINDER);
                        notified_at = now;
                    }
                }
                Step::Checks => {
                    if incident.remind(&CHANNELS, now).is_some() {
                        prop_assert!(now.duration_since(notified_at) >= REMINDER);
                        notified_at = now;
                    }
                }
                Step::Ends => {
                    if incident.resolve(&CHANNELS, now).is_some() {
                        prop_assert!(!was_over);
                        prop_assert!(CHANNELS.iter().all(|channel| incident.pending[channel].kind == AlertKind::Resolved));
                    }
                }
                Step::Delivers(channel) => {
                    if let Some(number) = incident.due(channel, now).map(|pending| pending.number) {
                        incident.mark_sent(channel, number);
                        prop_assert_eq!(incident.due(channel, now), None);
                    }
                }
                Step::DoesNotDeliver(channel) => {
                    let number = incident.due(channel, now).map(|pending| pending.number);
                    if number.is_some_and(|number| !incident.mark_unsent(channel, number, false, now)) {
                        prop_assert!(incident.pending[&channel].not_before.duration_since(now) <= LONGEST_PAUSE);
                    }
                }
            }
            prop_assert!(incident.pending.len() <= CHANNELS.len());
            let json = serde_json::to_vec(&incident).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Incident>(&json).unwrap(), &incident);
        }
    }
}
