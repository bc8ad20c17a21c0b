use super::*;
use crate::chain::tests::{decision, entry, written};
use crate::key::for_tests;
use crate::{Done, Entry, What};

fn ledger(entries: &[Entry]) -> Ledger {
    written(&for_tests('a'), entries).0
}

fn kinds(kinds: &[&str], from: i64) -> Vec<Entry> {
    kinds.iter().zip(from..).map(|(kind, second)| entry(second, decision(kind))).collect()
}

/// Returns the same decisions, with those of these numbers done.
fn and_done(mut entries: Vec<Entry>, numbers: &[usize], at: i64) -> Vec<Entry> {
    for number in numbers {
        let of = ledger(&entries).lines()[number - 1].mac;
        entries.push(entry(at, What::Done(Done { of, rows: 1 })));
    }
    entries
}

fn numbers(lines: &[&Line]) -> Vec<u64> {
    lines.iter().map(|line| line.number).collect()
}

fn of_set(ledger: &Ledger, settled: u64) -> OfSet<'_> {
    OfSet { ledger: Some(ledger), settled, taken: Timestamp::UNIX_EPOCH }
}

#[test]
fn if_one_ledger_is_a_prefix_the_longer_wins_and_nothing_is_adopted() {
    let long = ledger(&kinds(&["a", "b", "c"], 1));
    let short = ledger(&kinds(&["a", "b"], 1));
    let empty = Ledger::default();
    for (machine, set, wins) in [
        (&long, &short, Side::Machine),
        (&short, &long, Side::Set),
        (&empty, &long, Side::Set),
        (&long, &empty, Side::Machine),
        (&long, &long, Side::Machine),
        (&empty, &empty, Side::Machine),
    ] {
        assert_eq!(merge(machine, set), Merged { wins, adopt: vec![] });
    }
}

#[test]
fn if_ledgers_diverged_the_newer_wins_and_adopts_the_rest_of_the_other() {
    let machine = ledger(&[kinds(&["a"], 1), kinds(&["b", "c"], 10)].concat());
    let set = ledger(&[kinds(&["a"], 1), kinds(&["d"], 20)].concat());
    let merged = merge(&machine, &set);
    assert_eq!((merged.wins, numbers(&merged.adopt)), (Side::Set, vec![2, 3]));
    let merged = merge(&set, &machine);
    assert_eq!((merged.wins, numbers(&merged.adopt)), (Side::Machine, vec![2, 3]));
}

#[test]
fn an_adopted_decision_is_not_adopted_again() {
    let set = ledger(&kinds(&["d"], 5));
    let mut entries = kinds(&["a"], 1);
    let mut taken_over = entry(30, decision("d"));
    if let What::Decision(decision) = &mut taken_over.what {
        decision.adopted = Some(set.lines()[0].mac);
    }
    entries.push(taken_over);
    let machine = ledger(&entries);
    assert_eq!(merge(&machine, &set), Merged { wins: Side::Machine, adopt: vec![] });
    // It is outstanding only once.
    assert_eq!(outstanding(&machine, of_set(&set, 0)).len(), 2);
}

#[test]
fn decisions_not_done_before_the_snapshot_are_outstanding() {
    // a was done before the snapshot; b was decided before it and done after it; c came later.
    let at_snapshot = and_done(kinds(&["a", "b"], 1), &[1], 3);
    let settled = at_snapshot.len() as u64;
    let after_snapshot = and_done(at_snapshot, &[2], 4);
    let set = ledger(&after_snapshot);
    let machine = ledger(&and_done([after_snapshot, kinds(&["c"], 5)].concat(), &[5], 6));
    assert_eq!(numbers(&outstanding(&machine, of_set(&set, settled))), [2, 5]);
    assert_eq!(numbers(&outstanding(&Ledger::default(), of_set(&set, settled))), [2]);
}

#[test]
fn decisions_not_done_at_the_time_of_a_set_without_a_ledger_are_outstanding() {
    let machine = ledger(&and_done(and_done(kinds(&["a", "b"], 1), &[1], 3), &[2], 9));
    let set = OfSet { ledger: None, settled: 0, taken: Timestamp::from_second(5).unwrap() };
    assert_eq!(numbers(&outstanding(&machine, set)), [2]);
}
