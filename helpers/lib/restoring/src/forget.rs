//! Forgets again, in a restored database, the rows that were forgotten since its set was taken. The
//! purge ledgers of this machine and of the set list them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufReader, Read};
use std::path::Path;

use age::Identity;
use nexus_backup_set::{LEDGER, LEDGER_KEY, open};
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_digest::Digest;
use nexus_ledger::forgetting::{CodeOfOthers, ForgetCopies, Forgetting, OnReference, Referring, replay};
use nexus_ledger::{Decision, Forget, KeyId, Keys, Ledger, Line, OfSet, TableColumns, outstanding, read};
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;

use crate::Restoring;

/// The maximum size of a ledger, and of a file of keys, in bytes.
const LARGEST: u64 = 64 << 20;

/// The most rows of a step, large because nobody else uses the database.
const AT_ONCE: u32 = 10_000;

/// The set's copy of the ledger.
#[derive(Debug)]
pub struct Copy {
    /// The text in the set.
    pub text: Vec<u8>,
    /// The parsed ledger.
    pub ledger: Ledger,
}

/// Both ledgers and all their keys.
#[derive(Debug)]
pub struct Ledgers {
    /// The keys of both.
    pub keys: Keys,
    /// The keys of this machine; `None` if it has none.
    pub own: Option<Keys>,
    /// The ledger of this machine.
    pub machine: Ledger,
    /// The ledger of the set.
    pub copy: Option<Copy>,
    /// Whether this machine lacks some of the keys.
    pub has_new_keys: bool,
}

/// The ids of forgotten episodes, whose copies must not return either.
#[derive(Debug)]
pub struct Forbidden {
    keys: Keys,
    /// The hashes in the ledgers' decisions, by their key.
    named: BTreeMap<KeyId, BTreeSet<Digest>>,
    /// The ids that were deleted now: 64 bits of each, because they may be millions.
    gone: BTreeSet<u64>,
}

impl Forbidden {
    /// Creates it from the decisions of both ledgers.
    pub fn named(ledgers: &Ledgers) -> Self {
        let mut forbidden =
            Self { keys: ledgers.keys.clone(), named: BTreeMap::new(), gone: BTreeSet::new() };
        forbidden.name(ledgers);
        forbidden
    }

    /// Adds the decisions of other ledgers.
    pub fn name(&mut self, ledgers: &Ledgers) {
        self.keys = self.keys.with(&ledgers.keys);
        let of_set = ledgers.copy.iter().flat_map(|copy| copy.ledger.lines());
        for decision in ledgers.machine.lines().iter().chain(of_set).filter_map(Line::decision) {
            if let Forget::Keys(keys) = &decision.forget {
                self.named.entry(keys.key.clone()).or_default().extend(&keys.hashes);
            }
        }
    }

    /// Adds ids.
    pub fn add(&mut self, ids: &[String]) {
        self.gone.extend(ids.iter().map(|id| short(id)));
    }

    /// Returns whether the episode with this id is forgotten.
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

/// Reads both ledgers; that of this machine is in file `ledger`. `None` if neither exists: then
/// nothing was ever forgotten.
///
/// # Errors
/// Data (65) when one is damaged; I/O.
pub fn ledgers(restoring: &Restoring<'_>, ledger: &Path) -> Result<Option<Ledgers>> {
    let of_set = keys_of_set(&restoring.set.path, &restoring.unlock.identities()?)?;
    let of_machine = keys_of_machine(ledger)?;
    let has_new_keys = match (&of_machine, &of_set) {
        (Some(machine), Some(set)) => !machine.contain(set),
        (machine, set) => machine.is_none() && set.is_some(),
    };
    let own = of_machine.clone();
    let keys = match (of_machine, of_set) {
        (Some(machine), Some(set)) => machine.with(&set),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return Ok(None),
    };
    let copy = copy_of_set(restoring, &keys)?;
    let machine = read(ledger, &keys)?;
    Ok(Some(Ledgers { keys, own, machine, copy, has_new_keys }))
}

/// How to forget the rows that the ledgers list.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// What to do with rows that refer to a row to delete, if their foreign key forbids the
    /// deletion.
    pub on_reference: OnReference,
    /// Whether to rewrite the tables, so that their files keep none of the rows. Needed if no purge
    /// will clean them.
    pub rewrite: bool,
}

/// The deletions from one table.
#[derive(Clone, Debug)]
pub struct GoneOf {
    /// The table.
    pub table: TableColumns,
    /// The rows that were deleted.
    pub rows: u64,
    /// The rows that it had.
    pub of: u64,
}

/// The deletions from all tables.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// The tables that lost rows.
    pub tables: Vec<GoneOf>,
    /// What happened to referring rows of other tables.
    pub referring: Referring,
}

impl Gone {
    /// Returns the deleted rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|gone| gone.rows).sum()
    }
}

/// Forgets the rows that the ledgers list, and passes their ids to `copies`.
///
/// # Errors
/// Data (65) when the key of a decision's hash is missing, or rows refer to a row to delete and
/// `how` forbids the deletion; errors of the server.
pub fn again(
    restoring: &Restoring<'_>,
    ledgers: &Ledgers,
    how: How,
    copies: &mut ForgetCopies<'_>,
) -> Result<Gone> {
    let set = OfSet {
        ledger: ledgers.copy.as_ref().map(|copy| &copy.ledger),
        settled: restoring.manifest.ledger.as_ref().map_or(0, |ledger| ledger.settled),
        taken: restoring.manifest.taken,
    };
    let decisions: Vec<&Decision> =
        outstanding(&ledgers.machine, set).into_iter().filter_map(Line::decision).collect();
    if decisions.is_empty() {
        return Ok(Gone::default());
    }
    let on = Forgetting {
        server: &restoring.server,
        database: &restoring.database,
        keys: &ledgers.keys,
        hints: &[],
        on_reference: how.on_reference,
        code_of_others: CodeOfOthers::Trusted,
        most_rows: AT_ONCE,
        gently: false,
        progress: restoring.progress,
        stop: restoring.stop,
    };
    let replayed = replay(&on, &decisions, copies)?;
    let mut tables: Vec<GoneOf> = Vec::new();
    for (decision, rows) in decisions.iter().zip(&replayed.rows).filter(|(_, rows)| **rows > 0) {
        match tables.iter_mut().find(|gone| gone.table == decision.table) {
            Some(gone) => gone.rows += rows,
            None => tables.push(GoneOf { table: decision.table.clone(), rows: *rows, of: 0 }),
        }
    }
    let control = Control::open(&restoring.server, &restoring.database, restoring.stop)?;
    for gone in &mut tables {
        let name = quote::qualified(&gone.table.schema, &gone.table.table);
        let left: i64 =
            control.row("counting the remaining rows", &format!("SELECT count(*) FROM {name}"), &[])?.get(0);
        gone.of = gone.rows + u64::try_from(left).unwrap_or(0);
    }
    let gone = Gone { tables, referring: replayed.referring };
    clean(restoring, &control, &gone, how.rewrite)?;
    Ok(gone)
}

/// Removes the rows from pages and indexes; with `rewrite` also from the files.
fn clean(restoring: &Restoring<'_>, control: &Control, gone: &Gone, rewrite: bool) -> Result<()> {
    let mut names: Vec<String> = gone
        .tables
        .iter()
        .map(|gone| quote::qualified(&gone.table.schema, &gone.table.table))
        .chain(gone.referring.keys().cloned())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    names.sort();
    names.dedup();
    let how = if rewrite { "FULL, ANALYZE" } else { "ANALYZE" };
    let statistics = rewrite.then(|| "VACUUM (FULL) pg_catalog.pg_statistic".to_owned());
    for sql in names.iter().map(|name| format!("VACUUM ({how}) {name}")).chain(statistics) {
        control.run_while("vacuuming tables with forgotten rows", &sql, || restoring.progress.advance(0))?;
    }
    Ok(())
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
    let text = String::from_utf8(text).map_err(|_| Failure::new(Exit::Data, doing()).because("not UTF-8"))?;
    Keys::parse(&text).map(Some).map_err(|why| Failure::new(Exit::Data, doing()).because(why))
}

fn copy_of_set(restoring: &Restoring<'_>, keys: &Keys) -> Result<Option<Copy>> {
    let path = restoring.set.path.join(LEDGER);
    let Some(text) = whole_file(&path, &restoring.unlock.identities()?)? else { return Ok(None) };
    let ledger = Ledger::parse(&*text, keys).map_err(|broken| {
        Failure::new(Exit::Data, format!("reading {}", path.display()))
            .because(broken.to_string())
            .advise("The set is damaged: use another one (nexus-restore verify finds which are whole)")
    })?;
    Ok(Some(Copy { text, ledger }))
}

/// Reads a whole file of the set; `None` if the set does not have it.
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
