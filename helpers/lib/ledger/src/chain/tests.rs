use proptest::prelude::*;

use super::*;
use crate::key::for_tests;
use crate::{Done, Forget, Hashes, Rows, TableColumns, Types};

pub(crate) fn place() -> TableColumns {
    let [schema, table, key, time, kind, tags, agent] =
        ["s", "t", "id", "at", "m->>type", "tags", "agent"].map(str::to_owned);
    TableColumns { schema, table, key, time, kind, tags, agent }
}

/// A decision about the rows of type `kind`.
pub(crate) fn decision(kind: &str) -> What {
    let rows = Rows { types: Types::Only(kind.to_owned()), ..Rows::default() };
    What::Decision(Box::new(Decision {
        table: place(),
        forget: Forget::Rows(rows),
        adopted: None,
        found: None,
        agreed: false,
    }))
}

pub(crate) fn entry(second: i64, what: What) -> Entry {
    Entry { at: jiff::Timestamp::from_second(second).unwrap(), by: "a test".to_owned(), what }
}

/// Writes a ledger of these entries and returns it with its text.
pub(crate) fn written(keys: &Keys, entries: &[Entry]) -> (Ledger, String) {
    let (mut ledger, mut whole) = (Ledger::default(), String::new());
    for entry in entries {
        let (text, line) = ledger.next(entry.clone(), keys).unwrap();
        ledger.push(&text, line);
        whole.push_str(&text);
    }
    (ledger, whole)
}

fn three() -> (Ledger, String) {
    written(&for_tests('a'), &["one", "two", "three"].map(|kind| entry(7, decision(kind))))
}

fn broken(text: &str) -> Broken {
    Ledger::parse(text.as_bytes(), &for_tests('a')).unwrap_err()
}

#[test]
fn a_written_ledger_is_read_back() {
    let (ledger, text) = three();
    assert_eq!(Ledger::parse(text.as_bytes(), &for_tests('a')), Ok(ledger));
    assert_eq!(Ledger::parse(&b""[..], &for_tests('a')), Ok(Ledger::default()));
}

#[test]
fn an_altered_removed_moved_or_added_line_is_named() {
    let (_, text) = three();
    let lines: Vec<_> = text.lines().collect();
    let changed = broken(&text.replace("two", "six"));
    assert_eq!((changed.line, changed.why.contains("was altered")), (2, true));
    assert_eq!(broken(&format!("{}\n{}\n", lines[0], lines[2])).line, 2);
    assert_eq!(broken(&format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2])).line, 1);
    assert_eq!(broken(&format!("{text}{}\n", lines[0])).line, 4);
    assert_eq!(broken(&format!("{text}\n")).line, 4);
}

#[test]
fn the_error_about_a_hostile_line_is_one_short_line() {
    let (long, mac) = ("Ɲ".repeat(5000), "0".repeat(64));
    for wrong in [
        format!(r#""key":"k","at":"{long}""#),
        format!(
            r#""key":"a\nb{long}","at":"2026-11-22T03:00:12Z","by":"x","done":{{"of":"{mac}","rows":1}}"#
        ),
    ] {
        let said = broken(&format!("{{\"n\":1,{wrong}{BEFORE_MAC}{mac}{AFTER_MAC}\n")).to_string();
        assert!(said.chars().count() < 400 && !said.contains('\n'), "{said}");
    }
}

#[test]
fn the_error_about_a_line_of_another_key_names_the_key() {
    let (_, text) = written(&for_tests('b'), &[entry(1, decision("one"))]);
    let why = broken(&text).why;
    assert!(why.contains(&for_tests('b').current().id().to_string()), "{why}");
    let both = for_tests('a').with(&for_tests('b'));
    assert!(Ledger::parse(text.as_bytes(), &both).is_ok());
}

#[test]
fn an_incomplete_line_does_not_count() {
    let (ledger, text) = three();
    let torn = Ledger::parse(&text.as_bytes()[..text.len() - 1], &for_tests('a')).unwrap();
    assert!(torn.is_torn());
    assert_eq!(torn.lines(), &ledger.lines()[..2]);
    assert_eq!(torn.bytes(), text.lines().take(2).map(|line| line.len() as u64 + 1).sum::<u64>());
}

#[test]
fn a_decision_is_open_until_a_line_records_it_as_done() {
    let (ledger, _) = three();
    let done = What::Done(Done { of: ledger.lines()[1].mac, rows: 5 });
    let entries: Vec<_> =
        ledger.lines().iter().map(|line| line.entry.clone()).chain([entry(8, done)]).collect();
    let (ledger, _) = written(&for_tests('a'), &entries);
    let open: Vec<_> = ledger.open().iter().map(|line| line.number).collect();
    assert_eq!(open, [1, 3]);
}

#[test]
fn the_most_hashes_fit_in_one_line() {
    let keys = for_tests('a');
    let hashes = vec![keys.current().hash("id", b"x"); Hashes::MOST];
    let forget = Forget::Keys(Hashes { key: keys.current().id().clone(), hashes });
    let what = What::Decision(Box::new(Decision {
        table: place(),
        forget,
        adopted: None,
        found: None,
        agreed: false,
    }));
    let (ledger, text) = written(&keys, &[entry(1, what)]);
    assert_eq!(Ledger::parse(text.as_bytes(), &keys), Ok(ledger));
}

proptest! {
    #[test]
    fn a_ledger_with_any_text_is_read_back(kinds in prop::collection::vec(".{0,20}", 0..8), seconds in 0i64..4_000_000_000) {
        let keys = for_tests('a');
        let entries: Vec<_> = kinds.iter().map(|kind| entry(seconds, decision(kind))).collect();
        let (ledger, text) = written(&keys, &entries);
        prop_assert_eq!(Ledger::parse(text.as_bytes(), &keys), Ok(ledger));
    }

    #[test]
    fn one_changed_byte_is_detected(at in 0usize..2000, to in any::<u8>()) {
        let (ledger, text) = three();
        let mut bytes = text.into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        // Without the last line feed, the last line is incomplete and the rest is valid.
        let read = Ledger::parse(bytes.as_slice(), &for_tests('a'));
        prop_assert!(read.is_err() || (at == bytes.len() - 1 && read.unwrap().lines() == &ledger.lines()[..2]));
    }

    #[test]
    fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _either = Ledger::parse(bytes.as_slice(), &for_tests('a'));
    }
}
