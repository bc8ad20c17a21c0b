//! Carries out decisions of the ledger: new ones, ones that a killed run has left open, and, in a
//! restored database, ones that are newer than the set (`nexus_restoring::forget::again`).

use std::collections::BTreeMap;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_digest::Digest;
use nexus_postgres::quote;
use nexus_postgres::raw::RawSession;
use nexus_postgres::server::Server;

use crate::forgetting::erase::ForgetCopies;
use crate::forgetting::{
    CodeOfOthers, Erased, Eraser, OnReference, PINNED, Referring, RowFilter, Table, matches, session,
};
use crate::{Decision, Forget, Hashed, Key, KeyId, Keys, Rows, TableColumns};

/// The most keys to delete in one step.
const AT_ONCE: usize = 1000;

/// Where and how to carry out decisions.
pub struct Forgetting<'a> {
    /// The server.
    pub server: &'a Server,
    /// The database.
    pub database: &'a str,
    /// The ledger's keys.
    pub keys: &'a Keys,
    /// Candidates for the texts of hashes. If empty, every key, tag and agent of the table is
    /// tried.
    pub hints: &'a [String],
    /// What to do with rows that refer to a row to delete, where their foreign key forbids the
    /// deletion.
    pub on_reference: OnReference,
    /// How to treat code of roles that are not superusers.
    pub code_of_others: CodeOfOthers,
    /// The most rows of a step.
    pub most_rows: u32,
    /// Whether to pause after each step for as long as it took, because others use the database
    /// too.
    pub gently: bool,
    /// Where to report progress.
    pub progress: &'a Progress,
    /// The flag that stops it.
    pub stop: &'a Stop,
}

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The rows of each decision, in their order.
    pub rows: Vec<u64>,
    /// The bytes that they took.
    pub bytes: u64,
    /// What happened to referring rows of other tables.
    pub referring: Referring,
}

impl Replayed {
    fn add(&mut self, erased: Erased) {
        self.bytes += erased.bytes;
        for (table, touched) in erased.referring {
            let sum = self.referring.entry(table).or_default();
            sum.deleted += touched.deleted;
            sum.emptied += touched.emptied;
        }
    }

    /// Returns the rows of all decisions.
    pub fn total(&self) -> u64 {
        self.rows.iter().sum()
    }
}

/// Carries out decisions. Skips a table that does not exist.
///
/// # Errors
/// Data (65) when the key of a decision's hashes is missing; errors of the server and of
/// `copies`.
pub fn replay(
    on: &Forgetting<'_>,
    decisions: &[&Decision],
    copies: &mut ForgetCopies<'_>,
) -> Result<Replayed> {
    let mut replayed = Replayed { rows: vec![0; decisions.len()], ..Replayed::default() };
    let control = session(on.server, on.database, on.stop)?;
    for (place, here) in by_place(decisions) {
        let Some(table) = Table::find(&control, place, on.code_of_others)? else {
            log::warn!("table {}.{} does not exist: nothing to forget in it", place.schema, place.table);
            continue;
        };
        let mut copies = |keys: &[String]| copies(keys);
        let mut eraser = Eraser::new(
            &control,
            &table,
            on.on_reference,
            on.most_rows,
            on.gently,
            on.progress,
            on.stop,
            &mut copies,
        )?;
        on.rows_of(&table, decisions, &here, &mut eraser, &mut replayed)?;
        on.keys_of(&table, decisions, &here, &mut eraser, &mut replayed)?;
    }
    Ok(replayed)
}

/// The rows that decisions would delete from one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The name of the table, for people.
    pub table: String,
    /// The rows to delete. A row of two decisions counts twice.
    pub rows: u64,
    /// All rows of the table.
    pub of: u64,
}

/// Counts the rows that [`replay`] would delete, by table. Changes nothing.
///
/// # Errors
/// Those of [`replay`].
pub fn shares(on: &Forgetting<'_>, decisions: &[&Decision]) -> Result<Vec<Share>> {
    let control = session(on.server, on.database, on.stop)?;
    let mut shares = Vec::new();
    for (place, here) in by_place(decisions) {
        let Some(table) = Table::find(&control, place, on.code_of_others)? else { continue };
        let (_, conditions) = on.conditions(&table, decisions, &here)?;
        let any = if conditions.is_empty() { "false".to_owned() } else { conditions.join(" OR ") };
        let sql = format!("SELECT count(*) FILTER (WHERE {any}), count(*) FROM {}", table.qualified());
        let row = control.row("counting the rows that the purge ledger would delete", &sql, &[])?;
        let number = |column| u64::try_from(row.get::<_, i64>(column)).unwrap_or(0);
        let mut share = Share { table: table.to_string(), rows: number(0), of: number(1) };
        on.each_named(&table, decisions, &here, |_, _| {
            share.rows += 1;
            Ok(())
        })?;
        shares.push(share);
    }
    Ok(shares)
}

/// Groups the numbers of decisions by table.
fn by_place<'a>(decisions: &[&'a Decision]) -> Vec<(&'a TableColumns, Vec<usize>)> {
    let mut places: Vec<(&TableColumns, Vec<usize>)> = Vec::new();
    for (index, decision) in decisions.iter().enumerate() {
        match places.iter_mut().find(|(place, _)| **place == decision.table) {
            Some((_, here)) => here.push(index),
            None => places.push((&decision.table, vec![index])),
        }
    }
    places
}

impl Forgetting<'_> {
    /// Carries out the decisions with conditions.
    fn rows_of(
        &self,
        table: &Table,
        decisions: &[&Decision],
        here: &[usize],
        eraser: &mut Eraser<'_>,
        replayed: &mut Replayed,
    ) -> Result<()> {
        let (numbers, conditions) = self.conditions(table, decisions, here)?;
        self.progress.doing(format!("purging {table}"));
        let gone = eraser.by_conditions(&conditions)?;
        for (index, rows) in numbers.into_iter().zip(&gone.rows) {
            replayed.rows[index] += rows;
        }
        replayed.add(gone);
        Ok(())
    }

    /// Returns the numbers and the SQL of the decisions with conditions.
    fn conditions(
        &self,
        table: &Table,
        decisions: &[&Decision],
        here: &[usize],
    ) -> Result<(Vec<usize>, Vec<String>)> {
        let (mut numbers, mut conditions) = (Vec::new(), Vec::new());
        for &index in here {
            let Forget::Rows(rows) = &decisions[index].forget else { continue };
            if let Some(plain) = self.plain(table, rows)? {
                conditions.push(matches(&plain, table));
                numbers.push(index);
            }
        }
        Ok((numbers, conditions))
    }

    /// Carries out the decisions with keys.
    fn keys_of(
        &self,
        table: &Table,
        decisions: &[&Decision],
        here: &[usize],
        eraser: &mut Eraser<'_>,
        replayed: &mut Replayed,
    ) -> Result<()> {
        self.progress.doing(format!("purging {table}"));
        let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut erase = |index: usize, keys: &mut Vec<String>| -> Result<()> {
            let gone = eraser.by_keys(keys)?;
            replayed.rows[index] += gone.rows.iter().sum::<u64>();
            replayed.add(gone);
            keys.clear();
            Ok(())
        };
        self.each_named(table, decisions, here, |index, text| {
            let keys = found.entry(index).or_default();
            keys.push(text.to_owned());
            if keys.len() == AT_ONCE {
                erase(index, keys)?;
            }
            Ok(())
        })?;
        for (index, mut keys) in found {
            if !keys.is_empty() {
                erase(index, &mut keys)?;
            }
        }
        Ok(())
    }

    /// Calls `take` with each key of the table that a decision lists, and the decision's number. To
    /// do so it hashes every key of the table.
    fn each_named(
        &self,
        table: &Table,
        decisions: &[&Decision],
        here: &[usize],
        mut take: impl FnMut(usize, &str) -> Result<()>,
    ) -> Result<()> {
        // The decision's number by key of the ledger, then by hash.
        let mut wanted: BTreeMap<&KeyId, BTreeMap<Digest, usize>> = BTreeMap::new();
        for &index in here {
            if let Forget::Keys(keys) = &decisions[index].forget {
                let hashes = wanted.entry(&keys.key).or_default();
                hashes.extend(keys.hashes.iter().map(|hash| (*hash, index)));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let wanted: Vec<(&Key, BTreeMap<Digest, usize>)> =
            wanted.into_iter().map(|(id, hashes)| Ok((self.key(id)?, hashes))).collect::<Result<_>>()?;
        let decision_of = |text: &str| {
            wanted.iter().find_map(|(key, hashes)| hashes.get(&key.hash("id", text.as_bytes())).copied())
        };
        let every_key = format!("SELECT {} AS text FROM {}", table.key_text(), table.qualified());
        self.each_text(&every_key, |text| {
            if let Some(index) = decision_of(text) {
                take(index, text)?;
            }
            Ok(true)
        })
    }

    /// Returns the conditions with tag and agent in clear text; `None` if no row has that tag or
    /// agent.
    fn plain(&self, table: &Table, rows: &Rows) -> Result<Option<RowFilter>> {
        let place = table.place();
        let mut plain = RowFilter {
            types: rows.types.clone(),
            before: rows.before,
            until: rows.until,
            ..RowFilter::default()
        };
        let (tags, agents) = (quote::identifier(&place.tags), quote::identifier(&place.agent));
        let words = format!("{}, pg_catalog.unnest({tags}) AS word", table.qualified());
        for (hashed, column, purpose, text, from, found) in [
            (&rows.tag, &place.tags, "tag", "word", words, &mut plain.tag),
            (&rows.agent, &place.agent, "agent", agents.as_str(), table.qualified(), &mut plain.agent),
        ] {
            let Some(hashed) = hashed else { continue };
            let every = format!("SELECT DISTINCT {text}::text AS text FROM {from} WHERE {text} IS NOT NULL");
            *found = self.find(table, column, purpose, hashed, &every)?;
            if found.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(plain))
    }

    /// Finds the text of `hashed` among the results of query `every`.
    fn find(
        &self,
        table: &Table,
        column: &str,
        purpose: &str,
        hashed: &Hashed,
        every: &str,
    ) -> Result<Option<String>> {
        if !table.has(column) {
            return Ok(None);
        }
        let key = self.key(&hashed.key)?;
        let mut found = None;
        self.each_text(every, |text| {
            if key.hash(purpose, text.as_bytes()) == hashed.hash {
                found = Some(text.to_owned());
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    fn key(&self, id: &KeyId) -> Result<&Key> {
        self.keys.find(id).ok_or_else(|| {
            Failure::new(Exit::Data, "carrying out the purge ledger")
                .because(format!("key {id} is not in the credential ledger_key"))
                .advise("Put it back from where you keep it, or from a backup set (ledger.key.age)")
        })
    }

    /// Passes every hint, or every text that `query` returns, to `take` until that returns false.
    /// Streams the texts.
    fn each_text(&self, query: &str, mut take: impl FnMut(&str) -> Result<bool>) -> Result<()> {
        if !self.hints.is_empty() {
            for hint in self.hints {
                if !take(hint)? {
                    break;
                }
            }
            return Ok(());
        }
        let doing = "comparing with the purge ledger";
        let mut raw = RawSession::connect(self.server, self.database, self.server.application, self.stop)?;
        raw.execute(doing, &format!("{PINNED}; BEGIN READ ONLY"))?;
        // Hexadecimal: one line of ASCII for any text and any encoding of the database.
        let sql = format!(
            "COPY (SELECT pg_catalog.encode(pg_catalog.convert_to(q.text, 'UTF8'), 'hex') FROM ({query}) q) TO STDOUT"
        );
        let (mut line, mut is_wanted) = (Vec::new(), true);
        raw.copy_out(doing, &sql, |piece| {
            self.progress.advance(0);
            for byte in piece {
                if *byte != b'\n' {
                    line.push(*byte);
                    continue;
                }
                if is_wanted {
                    is_wanted = take(&unhex(&line).unwrap_or_default())?;
                }
                line.clear();
            }
            Ok(())
        })?;
        raw.close()
    }
}

/// Decodes a text from hexadecimal digits; `None` if they are invalid or the text is not UTF-8.
fn unhex(digits: &[u8]) -> Option<String> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let bytes: Option<Vec<u8>> =
        digits.chunks(2).map(|pair| Some(nibble(*pair.first()?)? << 4 | nibble(*pair.get(1)?)?)).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_hexadecimal_is_decoded_and_the_rest_is_not() {
        assert_eq!(unhex(b"c3b16f").as_deref(), Some("ño"));
        assert_eq!(unhex(b"").as_deref(), Some(""));
        assert_eq!([unhex(b"c"), unhex(b"zz"), unhex(b"ff")], [None, None, None]);
    }
}
