//! What was forgotten since a set was taken is forgotten again in a database that is made of it: read from the purge
//! ledgers of this machine and of the set.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufReader, Read};
use std::path::Path;

use age::Identity;

use crate::failure::{Exit, Failure, Result};
use crate::forgetting::{ForgetCopies, Forgetting, OnReference, replay};
use crate::ledger::{Decision, Forget, KeyId, Keys, Ledger, Line, OfSet, outstanding, read};
use crate::postgres::blocking::Control;
use crate::postgres::quote;
use crate::restoring::Restoring;
use crate::set::hashing::Digest;
use crate::set::{LEDGER, LEDGER_KEY, open};

/// The largest ledger and the largest file of keys that are read, in bytes.
const LARGEST: u64 = 64 << 20;

/// The most rows of a step: nobody else is in the database.
const AT_ONCE: u32 = 10_000;

/// The set's copy of the ledger.
#[derive(Debug)]
pub struct Copy {
    /// As it stands in the set.
    pub text: Vec<u8>,
    /// The same, read.
    pub ledger: Ledger,
}

/// Both ledgers and all keys for them.
#[derive(Debug)]
pub struct Ledgers {
    /// For both.
    pub keys: Keys,
    /// Of this machine.
    pub machine: Ledger,
    /// Of the set.
    pub copy: Option<Copy>,
    /// Whether this machine lacks some of the keys.
    pub has_new_keys: bool,
}

/// Ids of episodes whose copies may not come back either.
#[derive(Debug)]
pub struct Forbidden {
    keys: Keys,
    /// What the ledgers' decisions name, by the key they are hashed with.
    named: BTreeMap<KeyId, BTreeSet<Digest>>,
    /// What went when the decisions were carried out: 64 bits of each, since they may be millions.
    gone: BTreeSet<u64>,
}

impl Forbidden {
    /// What the decisions of both ledgers name.
    pub fn named(ledgers: &Ledgers) -> Self {
        let mut forbidden =
            Self { keys: ledgers.keys.clone(), named: BTreeMap::new(), gone: BTreeSet::new() };
        forbidden.name(ledgers);
        forbidden
    }

    /// What the decisions of these name, too.
    pub fn name(&mut self, ledgers: &Ledgers) {
        self.keys = self.keys.with(&ledgers.keys);
        let of_set = ledgers.copy.iter().flat_map(|copy| copy.ledger.lines());
        for decision in ledgers.machine.lines().iter().chain(of_set).filter_map(Line::decision) {
            if let Forget::Keys(keys) = &decision.forget {
                self.named.entry(keys.key.clone()).or_default().extend(&keys.hashes);
            }
        }
    }

    /// These, too.
    pub fn add(&mut self, ids: &[String]) {
        self.gone.extend(ids.iter().map(|id| short(id)));
    }

    /// Whether the episode with this id is one.
    pub fn contains(&self, id: &str) -> bool {
        let is_named = |(key, hashes): (&KeyId, &BTreeSet<Digest>)| {
            self.keys.find(key).is_some_and(|key| hashes.contains(&key.hash("id", id.as_bytes())))
        };
        self.gone.contains(&short(id)) || self.named.iter().any(is_named)
    }
}

fn short(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Both ledgers, this machine's being in file `ledger`; nothing when there is none: then nothing was ever forgotten.
///
/// # Errors
/// Data (65) when one is damaged.
pub fn ledgers(making: &Restoring<'_>, ledger: &Path) -> Result<Option<Ledgers>> {
    let of_set = keys_of_set(&making.set.path, &making.unlock.identities()?)?;
    let of_machine = keys_of_machine(ledger)?;
    let has_new_keys = match (&of_machine, &of_set) {
        (Some(machine), Some(set)) => !machine.contain(set),
        (machine, set) => machine.is_none() && set.is_some(),
    };
    let keys = match (of_machine, of_set) {
        (Some(machine), Some(set)) => machine.with(&set),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return Ok(None),
    };
    let copy = copy_of_set(making, &keys)?;
    let machine = read(ledger, &keys)?;
    Ok(Some(Ledgers { keys, machine, copy, has_new_keys }))
}

/// Forgets what the ledgers forbid, and tells `copies` the ids; gives how many rows that were.
///
/// # Errors
/// Data (65) when a decision was hashed with a key that is not there; else the server's.
pub fn again(making: &Restoring<'_>, ledgers: &Ledgers, copies: &mut ForgetCopies<'_>) -> Result<u64> {
    let set = OfSet {
        ledger: ledgers.copy.as_ref().map(|copy| &copy.ledger),
        settled: making.manifest.ledger.as_ref().map_or(0, |ledger| ledger.settled),
        taken: making.manifest.taken,
    };
    let owed: Vec<&Decision> =
        outstanding(&ledgers.machine, set).into_iter().filter_map(Line::decision).collect();
    carry_out(making, &ledgers.keys, &owed, copies)
}

fn carry_out(
    making: &Restoring<'_>,
    keys: &Keys,
    owed: &[&Decision],
    copies: &mut ForgetCopies<'_>,
) -> Result<u64> {
    if owed.is_empty() {
        return Ok(0);
    }
    let on = Forgetting {
        server: &making.server,
        database: &making.database,
        keys,
        hints: &[],
        // Whoever refers to a forgotten row had gone, or was let go, when it was forgotten.
        on_reference: OnReference::Cascade,
        most_rows: AT_ONCE,
        gently: false,
        progress: making.progress,
        stop: making.stop,
    };
    let replayed = replay(&on, owed, copies)?;
    if replayed.total() > 0 {
        let control = Control::open(&making.server, &making.database, making.stop)?;
        let mut tables: Vec<_> =
            owed.iter().map(|one| quote::qualified(&one.table.schema, &one.table.table)).collect();
        tables.sort();
        tables.dedup();
        for (name, exists) in tables.iter().map(|name| {
            (name, format!("SELECT pg_catalog.to_regclass({}) IS NOT NULL", quote::literal(name)))
        }) {
            let doing = format!("vacuuming {name}");
            if control.row(&doing, &exists, &[])?.get(0) {
                control
                    .run_while(&doing, &format!("VACUUM (ANALYZE) {name}"), || making.progress.advance(0))?;
            }
        }
    }
    Ok(replayed.total())
}

fn keys_of_machine(ledger: &Path) -> Result<Option<Keys>> {
    match Keys::read() {
        Ok(keys) => Ok(Some(keys)),
        // A machine without a ledger needs no key for it.
        Err(failure) if failure.exit() == Exit::Settings && !ledger.exists() => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn keys_of_set(set: &Path, identities: &[Box<dyn Identity>]) -> Result<Option<Keys>> {
    let path = set.join(LEDGER_KEY);
    let Some(text) = whole_file(&path, identities)? else { return Ok(None) };
    let doing = || format!("reading {}", path.display());
    let text =
        String::from_utf8(text).map_err(|_| Failure::new(Exit::Data, doing()).because("it is no text"))?;
    Keys::parse(&text).map(Some).map_err(|why| Failure::new(Exit::Data, doing()).because(why))
}

fn copy_of_set(making: &Restoring<'_>, keys: &Keys) -> Result<Option<Copy>> {
    let path = making.set.path.join(LEDGER);
    let Some(text) = whole_file(&path, &making.unlock.identities()?)? else { return Ok(None) };
    let ledger = Ledger::parse(&*text, keys).map_err(|broken| {
        Failure::new(Exit::Data, format!("reading {}", path.display()))
            .because(broken.to_string())
            .advise("The set is damaged: use another one (nexus-restore verify finds which are whole)")
    })?;
    Ok(Some(Copy { text, ledger }))
}

/// A file of the set, if the set has it.
fn whole_file(path: &Path, identities: &[Box<dyn Identity>]) -> Result<Option<Vec<u8>>> {
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let input = open::open(path, identities)?;
    BufReader::new(input)
        .take(LARGEST)
        .read_to_end(&mut bytes)
        .map_err(|cause| open::damaged(path, cause))?;
    Ok(Some(bytes))
}
