//! Carrying out decisions of the ledger: new ones, ones that a killed run has left open, and, in a database that was just
//! restored, those that are newer than the set.

use std::collections::BTreeMap;

use crate::failure::{Exit, Failure, Result};
use crate::forgetting::erase::ForgetCopies;
use crate::forgetting::{Eraser, OnReference, PINNED, Plain, Table, matches, session};
use crate::ledger::{Decision, Forget, Hashed, Key, KeyId, Keys, Place, Rows};
use crate::postgres::quote;
use crate::postgres::raw::RawSession;
use crate::postgres::server::Server;
use crate::progress::Progress;
use crate::set::hashing::Digest;
use crate::stop::Stop;

/// Keys that are deleted in one step.
const AT_ONCE: usize = 1000;

/// Where and how decisions are carried out.
pub struct Forgetting<'a> {
    /// The server.
    pub server: &'a Server,
    /// The database.
    pub database: &'a str,
    /// The ledger's keys.
    pub keys: &'a Keys,
    /// Texts that hashes may stand for. None: every key, tag and agent of the table is tried.
    pub hints: &'a [String],
    /// What becomes of rows that refer to one that goes, where their foreign key forbids that.
    pub on_reference: OnReference,
    /// The most rows of a step.
    pub most_rows: u32,
    /// Whether it rests as long as it works, because others use the database too.
    pub gently: bool,
    /// Who is told.
    pub progress: &'a Progress,
    /// When to stop.
    pub stop: &'a Stop,
}

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Rows of each decision, in their order.
    pub rows: Vec<u64>,
    /// Bytes they took.
    pub bytes: u64,
}

impl Replayed {
    /// Rows of all.
    pub fn total(&self) -> u64 {
        self.rows.iter().sum()
    }
}

/// Carries decisions out. A table that is not there holds nothing to forget.
///
/// # Errors
/// Data (65) when a decision was hashed with a key that is not there; else the server's and those of `copies`.
pub fn replay(
    on: &Forgetting<'_>,
    decisions: &[&Decision],
    copies: &mut ForgetCopies<'_>,
) -> Result<Replayed> {
    let mut replayed = Replayed { rows: vec![0; decisions.len()], bytes: 0 };
    let mut places: Vec<&Place> = Vec::new();
    for decision in decisions {
        if !places.contains(&&decision.table) {
            places.push(&decision.table);
        }
    }
    let control = session(on.server, on.database, on.stop)?;
    for place in places {
        let here: Vec<usize> =
            (0..decisions.len()).filter(|index| decisions[*index].table == *place).collect();
        let Some(table) = Table::find(&control, place)? else {
            log::warn!(
                "there is no table {}.{}: nothing of it is to be forgotten",
                place.schema,
                place.table
            );
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

impl Forgetting<'_> {
    /// Carries out the decisions about rows by what they are.
    fn rows_of(
        &self,
        table: &Table,
        decisions: &[&Decision],
        here: &[usize],
        eraser: &mut Eraser<'_>,
        replayed: &mut Replayed,
    ) -> Result<()> {
        let (mut conditions, mut numbers) = (Vec::new(), Vec::new());
        for &index in here {
            let Forget::Rows(rows) = &decisions[index].forget else { continue };
            if let Some(plain) = self.plain(table, rows)? {
                conditions.push(matches(&plain, table));
                numbers.push(index);
            }
        }
        self.progress.doing(format!("purging {table}"));
        let gone = eraser.by_conditions(&conditions)?;
        for (index, rows) in numbers.into_iter().zip(gone.rows) {
            replayed.rows[index] += rows;
        }
        replayed.bytes += gone.bytes;
        Ok(())
    }

    /// Carries out the decisions about rows by their keys: every key of the table is hashed and looked up.
    fn keys_of(
        &self,
        table: &Table,
        decisions: &[&Decision],
        here: &[usize],
        eraser: &mut Eraser<'_>,
        replayed: &mut Replayed,
    ) -> Result<()> {
        // By key of the ledger, then by hash: the decision's number.
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
        self.progress.doing(format!("purging {table}"));
        let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut erase = |index: usize, keys: &mut Vec<String>| -> Result<()> {
            let gone = eraser.by_keys(keys)?;
            replayed.rows[index] += gone.rows.iter().sum::<u64>();
            replayed.bytes += gone.bytes;
            keys.clear();
            Ok(())
        };
        let every_key = format!("SELECT {} AS text FROM {}", table.key_text(), table.qualified());
        self.each_text(&every_key, |text| {
            let Some(index) = decision_of(text) else { return Ok(true) };
            let keys = found.entry(index).or_default();
            keys.push(text.to_owned());
            if keys.len() == AT_ONCE {
                erase(index, keys)?;
            }
            Ok(true)
        })?;
        for (index, mut keys) in found {
            if !keys.is_empty() {
                erase(index, &mut keys)?;
            }
        }
        Ok(())
    }

    /// The rows with tag and agent in the clear; nothing when no row has that tag or agent.
    fn plain(&self, table: &Table, rows: &Rows) -> Result<Option<Plain>> {
        let place = table.place();
        let mut plain =
            Plain { types: rows.types.clone(), before: rows.before, until: rows.until, ..Plain::default() };
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

    /// The text that `hashed` stands for, among those that `every` gives.
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

    /// Hands every text that `query` gives, or every hint, to `take`, until that says false. Nothing is held.
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
        // Hexadecimal, so that it is one line of ASCII whatever the text and the database's encoding.
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

/// The text of hexadecimal digits; nothing when they are none, or no UTF-8.
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
    fn hexadecimal_is_read_and_rubbish_is_not() {
        assert_eq!(unhex(b"c3b16f").as_deref(), Some("ño"));
        assert_eq!(unhex(b"").as_deref(), Some(""));
        assert_eq!([unhex(b"c"), unhex(b"zz"), unhex(b"ff")], [None, None, None]);
    }
}
