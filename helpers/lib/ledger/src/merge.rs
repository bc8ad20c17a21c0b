//! Merges the ledgers of this machine and of a backup set, and finds the decisions that are
//! outstanding in a restored database.
//!
//! Usually one is a prefix of the other: the set's is older, or the machine is new and its ledger
//! is empty. Then the longer one wins, and nothing is lost. If they have diverged (a set of another
//! machine, a ledger that was started over), the one with the newer last line wins and stays
//! unchanged, which keeps its chain valid. The decisions that only the other has are appended to
//! it, each with the MAC of its original line. So nothing that was forgotten comes back, and the
//! ledger records the merge.

use std::collections::BTreeSet;

use jiff::Timestamp;
use nexus_digest::Digest;

use super::chain::{Ledger, Line, done_by};
use super::entry::Decision;

/// The owner of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This machine.
    Machine,
    /// The backup set.
    Set,
}

/// The result of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged<'a> {
    /// The owner of the ledger that continues.
    pub wins: Side,
    /// The decisions of the other ledger to append to it.
    pub adopt: Vec<&'a Line>,
}

/// Returns the decisions that `set` adds to `machine`: the first MAC of each.
pub fn foreign(machine: &Ledger, set: &Ledger) -> BTreeSet<Digest> {
    let known = origins(machine);
    origins(set).difference(&known).copied().collect()
}

/// Decides which ledger continues, and what to append to it.
pub fn merge<'a>(machine: &'a Ledger, set: &'a Ledger) -> Merged<'a> {
    let is_prefix = |short: &Ledger, long: &Ledger| short.head().is_none_or(|head| long.went_through(head));
    if is_prefix(set, machine) {
        return Merged { wins: Side::Machine, adopt: Vec::new() };
    }
    if is_prefix(machine, set) {
        return Merged { wins: Side::Set, adopt: Vec::new() };
    }
    let newest = |ledger: &Ledger| ledger.lines().last().map(|line| line.entry.at);
    // At the same time the machine's wins: others may have seen it.
    let (wins, winner, other) =
        if newest(set) > newest(machine) { (Side::Set, set, machine) } else { (Side::Machine, machine, set) };
    let known = origins(winner);
    let adopt = other.lines().iter().filter(|line| line.origin().is_some_and(|o| !known.contains(&o)));
    Merged { wins, adopt: adopt.collect() }
}

/// The state of the ledger in a backup set.
#[derive(Clone, Copy, Debug)]
pub struct OfSet<'a> {
    /// The set's copy, taken after its snapshot; `None` for a set without a ledger.
    pub ledger: Option<&'a Ledger>,
    /// The number of lines before its snapshot was opened.
    pub settled: u64,
    /// The time of its snapshot.
    pub taken: Timestamp,
}

/// Returns the decisions that are outstanding in a database restored from the set, the oldest
/// first: all of both ledgers, except those that were done before the set's snapshot was opened. It
/// compares lines, not clocks; only for a set without a ledger does it compare times.
pub fn outstanding<'a>(machine: &'a Ledger, set: OfSet<'a>) -> Vec<&'a Line> {
    let settled = if let Some(ledger) = set.ledger {
        let settled = usize::try_from(set.settled).unwrap_or(usize::MAX);
        &ledger.lines()[..settled.min(ledger.lines().len())]
    } else {
        &machine.lines()[..machine.lines().partition_point(|line| line.entry.at < set.taken)]
    };
    let mut done: BTreeSet<Digest> = done_by(settled);
    let mut lines: Vec<&Line> =
        machine.lines().iter().chain(set.ledger.map_or(&[][..], Ledger::lines)).collect();
    // An adopted decision is the same as its original.
    let copies: Vec<_> = lines.iter().filter_map(|line| Some((line.mac, adopted(line)?))).collect();
    let more: Vec<Digest> = copies.iter().filter(|(mac, _)| done.contains(mac)).map(|(_, of)| *of).collect();
    done.extend(more);
    lines.retain(|line| line.origin().is_some_and(|origin| !done.contains(&line.mac) && done.insert(origin)));
    lines.sort_by_key(|line| line.entry.at);
    lines
}

fn adopted(line: &Line) -> Option<Digest> {
    line.decision().and_then(|Decision { adopted, .. }| *adopted)
}

fn origins(ledger: &Ledger) -> BTreeSet<Digest> {
    ledger.lines().iter().filter_map(Line::origin).collect()
}

#[cfg(test)]
mod tests;
