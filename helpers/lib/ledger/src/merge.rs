//! Two ledgers, of this machine and of a backup set, become one: and which decisions a restored database still owes.
//!
//! Usually one is the beginning of the other: the set's is older, or the machine is new and its own is empty. Then the
//! longer one wins, and nothing is lost. When they have gone different ways (a set of another machine, a ledger that was
//! begun anew), the one whose last line is newer wins, byte for byte, so that its chain stays what it was; the decisions
//! that only the other has are then appended to it one by one, each naming the line it was taken from: nothing that was
//! forgotten comes back, and the ledger itself says what happened.

use std::collections::BTreeSet;

use jiff::Timestamp;
use nexus_digest::Digest;

use super::chain::{Ledger, Line, done_by};
use super::entry::Decision;

/// Whose ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This machine's.
    Machine,
    /// The backup set's.
    Set,
}

/// What becomes of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged<'a> {
    /// Whose goes on.
    pub wins: Side,
    /// Decisions of the other that are to be appended to it.
    pub adopt: Vec<&'a Line>,
}

/// Decisions that `set` brings to `machine`: the first MAC of each that the machine did not have.
pub fn foreign(machine: &Ledger, set: &Ledger) -> BTreeSet<Digest> {
    let known = origins(machine);
    origins(set).difference(&known).copied().collect()
}

/// Decides it.
pub fn merge<'a>(machine: &'a Ledger, set: &'a Ledger) -> Merged<'a> {
    let begins = |short: &Ledger, long: &Ledger| short.head().is_none_or(|head| long.went_through(head));
    if begins(set, machine) {
        return Merged { wins: Side::Machine, adopt: Vec::new() };
    }
    if begins(machine, set) {
        return Merged { wins: Side::Set, adopt: Vec::new() };
    }
    let newest = |ledger: &Ledger| ledger.lines().last().map(|line| line.entry.at);
    // Of two of the same moment the machine's: it is the one that others may have seen.
    let (wins, winner, other) =
        if newest(set) > newest(machine) { (Side::Set, set, machine) } else { (Side::Machine, machine, set) };
    let known = origins(winner);
    let adopt = other.lines().iter().filter(|line| line.origin().is_some_and(|o| !known.contains(&o)));
    Merged { wins, adopt: adopt.collect() }
}

/// What a backup set says of the ledger.
#[derive(Clone, Copy, Debug)]
pub struct OfSet<'a> {
    /// Its copy, taken after its snapshot; nothing for a set that has none.
    pub ledger: Option<&'a Ledger>,
    /// Lines that were there before its snapshot was opened.
    pub settled: u64,
    /// When its snapshot was taken.
    pub taken: Timestamp,
}

/// The decisions that a database restored from the set owes, the oldest first: all of both ledgers, but for those that were
/// done before the set's snapshot was opened. By lines, not by clocks; only for a set without a ledger by its time.
pub fn outstanding<'a>(machine: &'a Ledger, set: OfSet<'a>) -> Vec<&'a Line> {
    let settled = if let Some(ledger) = set.ledger {
        let settled = usize::try_from(set.settled).unwrap_or(usize::MAX);
        &ledger.lines()[..settled.min(ledger.lines().len())]
    } else {
        &machine.lines()[..machine.lines().partition_point(|line| line.entry.at < set.taken)]
    };
    let mut paid: BTreeSet<Digest> = done_by(settled);
    let mut lines: Vec<&Line> =
        machine.lines().iter().chain(set.ledger.map_or(&[][..], Ledger::lines)).collect();
    // What was taken over is the same decision as the one it was taken from.
    let copies: Vec<_> = lines.iter().filter_map(|line| Some((line.mac, adopted(line)?))).collect();
    let more: Vec<Digest> = copies.iter().filter(|(mac, _)| paid.contains(mac)).map(|(_, of)| *of).collect();
    paid.extend(more);
    lines.retain(|line| line.origin().is_some_and(|origin| !paid.contains(&line.mac) && paid.insert(origin)));
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
