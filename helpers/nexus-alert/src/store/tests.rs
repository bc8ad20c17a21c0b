//! What is kept is read back, whatever else lies in the directory.

use super::*;
use crate::facts::Facts;

fn about(name: &str) -> About {
    name.parse().unwrap()
}

fn begun(name: &str) -> Problem {
    Problem::begins(about(name), Facts::default(), &[Way::Webhook], Timestamp::UNIX_EPOCH)
}

#[test]
fn what_is_kept_is_read_back_and_what_is_done_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path()).unwrap();
    let held = store.hold().unwrap();
    let mut problem = begun("nexus-backup.service");
    held.keep(&problem).unwrap();
    assert_eq!(held.problem(&problem.about).unwrap().as_ref(), Some(&problem));
    assert_eq!(held.all().unwrap(), std::slice::from_ref(&problem.about));
    problem.ends(&[], Timestamp::UNIX_EPOCH);
    problem.owed.clear();
    held.keep(&problem).unwrap();
    assert_eq!(held.all().unwrap(), []);
}

#[test]
fn what_is_no_problem_is_not_taken_for_one_and_what_is_half_written_is_swept() {
    let directory = tempfile::tempdir().unwrap();
    let half = directory.path().join("nexus-backup.service.json.partial");
    for name in ["tested.json", ".webhook.lock", "notes.txt"] {
        fs::write(directory.path().join(name), "{").unwrap();
    }
    fs::write(&half, "{").unwrap();
    let store = Store::at(directory.path()).unwrap();
    assert_eq!(store.hold().unwrap().all().unwrap(), []);
    assert!(!half.exists());
}

#[test]
fn a_damaged_file_is_a_problem_that_nobody_has_heard_of() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path()).unwrap();
    let held = store.hold().unwrap();
    let of_another = serde_json::to_string(&begun("nexus-stack.service")).unwrap();
    for damaged in ["", "{\"about\":", "[]", of_another.as_str()] {
        fs::write(directory.path().join("nexus-backup.service.json"), damaged).unwrap();
        let mut found = held.problem(&about("nexus-backup.service")).unwrap().unwrap();
        assert_eq!((found.over, found.owed.len()), (None, 0));
        assert!(found.remind(&[Way::Mail], Timestamp::now()).is_some(), "{damaged}");
    }
}

#[test]
fn those_that_last_are_counted_and_those_that_are_over_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path()).unwrap();
    let held = store.hold().unwrap();
    let mut over = begun("nexus-purge.service");
    over.ends(&[Way::Webhook], Timestamp::UNIX_EPOCH);
    let test = Problem::test(&[Way::Webhook], Timestamp::UNIX_EPOCH);
    for problem in [begun("nexus-backup.service"), begun("disk-root.health"), over, test] {
        held.keep(&problem).unwrap();
    }
    assert_eq!(held.others(&about("nexus-backup.service")).unwrap(), 1);
    assert_eq!(held.others(&about("nexus-purge.service")).unwrap(), 2);
}

#[test]
fn there_is_an_end_to_the_queue() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path()).unwrap();
    let held = store.hold().unwrap();
    for number in 0..MOST {
        fs::write(directory.path().join(format!("a{number}.service.json")), "").unwrap();
    }
    assert_eq!(held.keep(&begun("one-more.service")).unwrap_err().exit(), Exit::CannotCreate);
    // One that is there already is still kept.
    held.keep(&begun("a0.service")).unwrap();
}
