use std::fs;

use super::*;
use crate::chain::tests::decision;
use crate::kept::{self, Kept};
use crate::key::for_tests;
use crate::read;

struct Machine {
    _directory: tempfile::TempDir,
    files: Files,
}

/// Creates a machine whose ledger has the line `mine`, and a draft of another machine's ledger with
/// `theirs`, for which it has no keys.
fn machine() -> (Machine, Draft) {
    let directory = tempfile::tempdir().unwrap();
    let files = Files {
        ledger: directory.path().join("purge-ledger.jsonl"),
        credential: directory.path().join("ledger_key"),
    };
    for_tests('a').write_to(&files.credential).unwrap();
    LedgerFile::open(&files.ledger, for_tests('a'), "a test").unwrap().append("x", decision("mine")).unwrap();
    let mut draft = Draft::of(Vec::new(), crate::Ledger::default(), for_tests('b').with(&for_tests('a')));
    draft.append("x", decision("theirs")).unwrap();
    (Machine { _directory: directory, files }, draft)
}

fn new_database() -> NewDatabase {
    NewDatabase { database: "nexus".to_owned(), oid: 7, cluster: "1".to_owned() }
}

impl Machine {
    fn lock(&self) -> Lock {
        Lock::take(self.files.directory(), "a test").unwrap()
    }

    fn text(&self) -> Vec<u8> {
        fs::read(&self.files.ledger).unwrap()
    }

    /// Asserts that ledger and keys are those of `draft`, nothing is left over, and the ledger can
    /// be written.
    fn is(&self, draft: &Draft) {
        assert_eq!(self.text(), draft.text());
        assert_eq!(self.files.keys().unwrap().unwrap().current().id(), draft.keys().current().id());
        assert_eq!(pending(&self.files.ledger).unwrap(), None);
        let left = [self.files.next(), self.files.next_keys(), note_path(&self.files.ledger)];
        assert!(left.iter().all(|path| !path.exists()));
        let keys = self.files.keys().unwrap().unwrap();
        LedgerFile::open(&self.files.ledger, keys, "a test").unwrap().append("x", decision("more")).unwrap();
    }

    fn before(&self) -> Draft {
        read_text(&self.files.ledger, for_tests('a')).unwrap()
    }
}

#[test]
fn a_handover_completes_after_a_kill_at_any_step() {
    for steps in 0..=3 {
        let (machine, draft) = machine();
        prepare(&machine.files, &new_database(), &draft).unwrap();
        if steps > 0 {
            put_ledger(&machine.files, machine.lock()).unwrap();
        }
        if steps > 1 {
            put_keys(&machine.files).unwrap();
        }
        if steps > 2 {
            remove_if_there(&note_path(&machine.files.ledger)).unwrap();
            prepare(&machine.files, &new_database(), &draft).unwrap();
        }
        assert_eq!(pending(&machine.files.ledger).unwrap(), Some(new_database()));
        complete(&machine.files, machine.lock()).unwrap();
        machine.is(&draft);
    }
}

#[test]
fn an_abandoned_handover_changes_nothing() {
    let (machine, draft) = machine();
    let before = machine.before();
    prepare(&machine.files, &new_database(), &draft).unwrap();
    abandon(&machine.files).unwrap();
    machine.is(&before);
}

#[test]
fn a_ledger_cannot_be_written_during_a_handover() {
    let (machine, draft) = machine();
    prepare(&machine.files, &new_database(), &draft).unwrap();
    let failure = LedgerFile::open(&machine.files.ledger, for_tests('a'), "a test").unwrap_err();
    assert_eq!(failure.exit(), Exit::TryLater);
    assert!(failure.to_string().contains("nexus-restore finish"), "{failure}");
    // Readers may.
    assert_eq!(read(&machine.files.ledger, &for_tests('a')).unwrap().lines().len(), 1);
}

#[test]
fn a_kept_ledger_returns_with_its_keys_and_later_decisions() {
    let (machine, draft) = machine();
    let before = machine.before();
    let foreign = draft.ledger().lines().iter().filter_map(super::super::Line::origin).collect();
    let kept = Kept { database: "nexus before / 1".to_owned(), foreign };
    kept::keep(&machine.files, &kept, &before).unwrap();
    prepare(&machine.files, &new_database(), &draft).unwrap();
    complete(&machine.files, machine.lock()).unwrap();
    machine.is(&draft);
    // `is` has added one decision.
    let back = kept::find(&machine.files, &kept.database).unwrap().unwrap();
    assert_eq!((back.text(), back.keys().current().id()), (before.text(), for_tests('a').current().id()));
    let now = read_text(&machine.files.ledger, machine.files.keys().unwrap().unwrap()).unwrap();
    assert_eq!(kept::since(now.ledger().lines(), &back, &kept.foreign).len(), 1);
    assert_eq!(kept::all(&machine.files).unwrap(), std::slice::from_ref(&kept));
    kept::forget(&machine.files, &kept.database).unwrap();
    assert_eq!(kept::all(&machine.files).unwrap(), []);
}
