use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::chain::tests::decision;
use crate::key::for_tests;

fn open(path: &Path) -> Result<LedgerFile> {
    LedgerFile::open(path, for_tests('a'), "a test")
}

/// Creates a ledger of three lines in its own directory.
fn three() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("purge-ledger.jsonl");
    let mut file = open(&path).unwrap();
    for kind in ["one", "two", "three"] {
        file.append("a test", decision(kind)).unwrap();
    }
    (directory, path)
}

fn lines(path: &Path) -> usize {
    read(path, &for_tests('a')).unwrap().lines().len()
}

#[test]
fn a_ledger_that_was_never_written_is_empty_and_makes_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("purge-ledger.jsonl");
    assert_eq!(lines(&path), 0);
    assert!(!path.exists());
}

#[test]
fn an_appended_ledger_is_readable_by_its_owner_only() {
    let (_directory, path) = three();
    assert_eq!(lines(&path), 3);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn lines_missing_at_the_end_are_detected() {
    let (_directory, path) = three();
    let text = fs::read_to_string(&path).unwrap();
    let two: Vec<_> = text.split_inclusive('\n').take(2).collect();
    fs::write(&path, two.concat()).unwrap();
    let failure = read(&path, &for_tests('a')).unwrap_err();
    assert_eq!(failure.exit(), Exit::Data);
    assert!(failure.to_string().contains("lines are missing at its end: it had 3"), "{failure}");
    fs::remove_file(&path).unwrap();
    assert_eq!(read(&path, &for_tests('a')).unwrap_err().exit(), Exit::Data);
}

#[test]
fn a_missing_head_is_detected() {
    let (_directory, path) = three();
    fs::remove_file(head_path(&path)).unwrap();
    assert!(read(&path, &for_tests('a')).unwrap_err().to_string().contains("purge-ledger.head is missing"));
}

#[test]
fn a_kill_at_any_point_of_an_append_leaves_a_valid_ledger() {
    let (_directory, path) = three();
    let whole = fs::read(&path).unwrap();
    let head = fs::read(head_path(&path)).unwrap();
    let mut file = open(&path).unwrap();
    file.append("a test", decision("four")).unwrap();
    drop(file);
    let longer = fs::read(&path).unwrap();
    for cut in whole.len()..=longer.len() {
        // The line reaches the disk up to `cut`, and the head not yet.
        fs::write(&path, &longer[..cut]).unwrap();
        fs::write(head_path(&path), &head).unwrap();
        let expected = if cut == longer.len() { 4 } else { 3 };
        let mut file = open(&path).unwrap();
        assert_eq!(file.ledger().lines().len(), expected, "cut at {cut}");
        file.append("a test", decision("five")).unwrap();
        assert_eq!(lines(&path), expected + 1);
    }
}

#[test]
fn two_processes_cannot_write_at_once() {
    let (_directory, path) = three();
    let _held = open(&path).unwrap();
    assert_eq!(open(&path).unwrap_err().exit(), Exit::TryLater);
}

#[test]
fn a_replacement_is_atomic_even_if_killed_in_between() {
    let (_directory, path) = three();
    let (_other_directory, other) = three();
    let text = fs::read(&other).unwrap();
    let ledger = read(&other, &for_tests('a')).unwrap();
    let old = fs::read(&path).unwrap();
    let mut file = open(&path).unwrap();
    file.write_heads(&[file.ledger().head(), ledger.head()]).unwrap();
    // A kill here and one after the rename both leave a valid ledger.
    assert_eq!(fs::read(&path).unwrap(), old);
    assert_eq!(lines(&path), 3);
    fs::write(&path, &text).unwrap();
    assert_eq!(lines(&path), 3);
    fs::write(&path, &old).unwrap();
    file.replace(&text, ledger, for_tests('a')).unwrap();
    drop(file);
    assert_eq!(fs::read(&path).unwrap(), text);
    assert_eq!(lines(&path), 3);
}

#[test]
fn one_run_carries_out_the_ledger_while_others_append() {
    let (_directory, path) = three();
    let alone = carry_out_alone(&path, "the first", Duration::ZERO).unwrap();
    let failure = carry_out_alone(&path, "the second", Duration::ZERO).unwrap_err();
    assert_eq!(failure.exit(), Exit::TryLater);
    assert!(failure.to_string().contains("held by the first"), "{failure}");
    open(&path).unwrap().append("somebody", decision("four")).unwrap();
    assert_eq!(lines(&path), 4);
    drop(alone);
    carry_out_alone(&path, "the second", Duration::ZERO).unwrap();
}
