//! The store reads back what it saved, whatever other files the directory holds.

use super::*;
use crate::details::Details;

fn subject(name: &str) -> Subject {
    name.parse().unwrap()
}

fn opened(name: &str) -> Incident {
    Incident::open(subject(name), Details::default(), &[Channel::Webhook], Timestamp::UNIX_EPOCH)
}

#[test]
fn a_saved_incident_is_read_back_and_a_done_one_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path()).unwrap();
    let locked = store.lock().unwrap();
    let mut incident = opened("nexus-backup.service");
    locked.save(&incident).unwrap();
    assert_eq!(locked.incident(&incident.subject).unwrap().as_ref(), Some(&incident));
    assert_eq!(locked.all().unwrap(), std::slice::from_ref(&incident.subject));
    incident.resolve(&[], Timestamp::UNIX_EPOCH);
    incident.pending.clear();
    locked.save(&incident).unwrap();
    assert_eq!(locked.all().unwrap(), []);
}

#[test]
fn other_files_are_ignored_and_partial_files_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let partial = directory.path().join("nexus-backup.service.json.partial");
    for name in ["tested.json", ".webhook.lock", "notes.txt"] {
        fs::write(directory.path().join(name), "{").unwrap();
    }
    fs::write(&partial, "{").unwrap();
    let store = Store::at(directory.path()).unwrap();
    assert_eq!(store.lock().unwrap().all().unwrap(), []);
    assert!(!partial.exists());
}

#[test]
fn a_damaged_file_is_an_incident_without_history() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path()).unwrap();
    let locked = store.lock().unwrap();
    let of_another = serde_json::to_string(&opened("nexus-stack.service")).unwrap();
    for damaged in ["", "{\"about\":", "[]", of_another.as_str()] {
        fs::write(directory.path().join("nexus-backup.service.json"), damaged).unwrap();
        let mut found = locked.incident(&subject("nexus-backup.service")).unwrap().unwrap();
        assert_eq!((found.resolved, found.pending.len()), (None, 0));
        assert!(found.remind(&[Channel::Mail], Timestamp::now()).is_some(), "{damaged}");
    }
}

#[test]
fn only_incidents_that_last_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path()).unwrap();
    let locked = store.lock().unwrap();
    let mut over = opened("nexus-purge.service");
    over.resolve(&[Channel::Webhook], Timestamp::UNIX_EPOCH);
    let test = Incident::test(&[Channel::Webhook], Timestamp::UNIX_EPOCH);
    for incident in [opened("nexus-backup.service"), opened("disk-root.health"), over, test] {
        locked.save(&incident).unwrap();
    }
    assert_eq!(locked.others(&subject("nexus-backup.service")).unwrap(), 1);
    assert_eq!(locked.others(&subject("nexus-purge.service")).unwrap(), 2);
}

#[test]
fn the_queue_is_limited() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path()).unwrap();
    let locked = store.lock().unwrap();
    for number in 0..MOST {
        fs::write(directory.path().join(format!("a{number}.service.json")), "").unwrap();
    }
    assert_eq!(locked.save(&opened("one-more.service")).unwrap_err().exit(), Exit::CannotCreate);
    // An incident that has a file is still saved.
    locked.save(&opened("a0.service")).unwrap();
}
