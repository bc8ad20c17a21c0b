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
    let store = Store::at(directory.path(), &directory.path().join("none")).unwrap();
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

/// A directory and its spare one, with a store.
struct Directories(tempfile::TempDir, tempfile::TempDir);

impl Directories {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap())
    }

    fn store(&self) -> Store {
        Store::at(self.0.path(), self.1.path()).unwrap()
    }

    /// Makes the file on disk unwritable, as a full disk does: the name of its partial file is taken.
    fn fill(&self, name: &str) {
        fs::create_dir(self.0.path().join(format!("{name}.json.partial"))).unwrap();
    }

    fn make_room(&self, name: &str) {
        fs::remove_dir(self.0.path().join(format!("{name}.json.partial"))).unwrap();
    }

    /// Returns whether the incident has a file on disk, and in the spare directory.
    fn places(&self, name: &str) -> (bool, bool) {
        let is_in = |directory: &Path| directory.join(format!("{name}.json")).exists();
        (is_in(self.0.path()), is_in(self.1.path()))
    }
}

#[test]
fn an_incident_that_cannot_be_written_is_spared_and_moves_back() {
    let (directories, name) = (Directories::new(), "nexus-backup.service");
    let incident = opened(name);
    directories.fill(name);
    directories.store().lock().unwrap().save(&incident).unwrap();
    assert_eq!(directories.places(name), (false, true));
    // The next run.
    let store = directories.store();
    let locked = store.lock().unwrap();
    assert_eq!(locked.all().unwrap(), std::slice::from_ref(&incident.subject));
    assert_eq!(locked.incident(&incident.subject).unwrap().as_ref(), Some(&incident));
    directories.make_room(name);
    locked.save(&incident).unwrap();
    assert_eq!((directories.places(name), locked.is_spared(&incident.subject)), ((true, false), false));
}

#[test]
fn what_cannot_be_recorded_on_disk_is_not_forgotten() {
    let (directories, name) = (Directories::new(), "nexus-backup.service");
    let store = directories.store();
    let locked = store.lock().unwrap();
    let mut incident = opened(name);
    locked.save(&incident).unwrap();
    directories.fill(name);
    incident.mark_sent(Channel::Webhook, 1);
    locked.save(&incident).unwrap();
    assert_eq!(directories.places(name), (true, true));
    assert_eq!(locked.all().unwrap().len(), 1);
    assert_eq!(locked.incident(&incident.subject).unwrap().as_ref(), Some(&incident));
    // A file that cannot be removed: its end is remembered too.
    let path = directories.0.path().join(format!("{name}.json"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    incident.resolve(&[], Timestamp::UNIX_EPOCH);
    locked.save(&incident).unwrap();
    assert!(locked.incident(&incident.subject).unwrap().unwrap().is_done());
    fs::remove_dir(&path).unwrap();
    locked.save(&incident).unwrap();
    assert_eq!(locked.all().unwrap(), []);
}

#[test]
fn without_a_spare_directory_an_incident_that_cannot_be_written_is_an_error() {
    let (directories, name) = (Directories::new(), "nexus-backup.service");
    directories.fill(name);
    let store = Store::at(directories.0.path(), &directories.1.path().join("none")).unwrap();
    assert_eq!(store.lock().unwrap().save(&opened(name)).unwrap_err().exit(), Exit::Io);
}

#[test]
fn other_files_are_ignored_and_partial_files_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let partial = directory.path().join("nexus-backup.service.json.partial");
    for name in ["tested.json", ".webhook.lock", "notes.txt"] {
        fs::write(directory.path().join(name), "{").unwrap();
    }
    fs::write(&partial, "{").unwrap();
    let store = Store::at(directory.path(), &directory.path().join("none")).unwrap();
    assert_eq!(store.lock().unwrap().all().unwrap(), []);
    assert!(!partial.exists());
}

#[test]
fn a_damaged_file_is_an_incident_without_history() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path(), &directory.path().join("none")).unwrap();
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
    let store = Store::at(directory.path(), &directory.path().join("none")).unwrap();
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
    let store = Store::at(directory.path(), &directory.path().join("none")).unwrap();
    let locked = store.lock().unwrap();
    for number in 0..MOST {
        fs::write(directory.path().join(format!("a{number}.service.json")), "").unwrap();
    }
    assert_eq!(locked.save(&opened("one-more.service")).unwrap_err().exit(), Exit::CannotCreate);
    // An incident that has a file is still saved.
    locked.save(&opened("a0.service")).unwrap();
}
