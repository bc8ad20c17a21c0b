//! What is to be forgotten, as decisions for the ledger and as conditions in the clear: by the rules, or by a person's words.

use jiff::{SignedDuration, Timestamp};
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_ledger::forgetting::{RowFilter, Table, matches};
use nexus_ledger::{Decision, Forget, Hashed, Hashes, Keys, Rows, Types};
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;

use crate::args::Args;

/// Something that is to be forgotten.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// By what: for the ledger and for people.
    pub(crate) by: String,
    /// For the ledger; several where one line could not hold it.
    pub(crate) decisions: Vec<Decision>,
    /// The rows, in SQL.
    pub(crate) condition: String,
    /// What the hashes of the decisions stand for.
    pub(crate) hints: Vec<String>,
}

/// By the rules of NEXUS_TTL, as of `now`.
///
/// # Errors
/// Settings (78) when an age goes back beyond all time.
pub(crate) fn of_rules(args: &Args, table: &Table, now: Timestamp) -> Result<Vec<Selection>> {
    let mut selections = Vec::new();
    for rule in &args.ttl.0 {
        let Some(age) = rule.age else { continue };
        let types = rule.kind.clone().map_or_else(|| Types::Except(args.ttl.kinds()), Types::Only);
        let plain = RowFilter { types, before: Some(ago(now, age)?), ..RowFilter::default() };
        selections.push(of_rows(format!("rule {}", rule.text), &plain, table, None));
    }
    Ok(selections)
}

/// By a person's words.
///
/// # Errors
/// Usage (64) for an id that is none; Settings (78) when the table has no such column.
pub(crate) fn of_words(
    args: &Args,
    table: &Table,
    control: &Control,
    keys: &Keys,
    now: Timestamp,
) -> Result<Vec<Selection>> {
    if !args.episode.is_empty() {
        return of_keys(args, table, control, keys).map(|selection| vec![selection]);
    }
    let needed = [
        (args.tag.is_some(), &args.tags_column, "NEXUS_PURGE_TAGS"),
        (args.agent.is_some(), &args.agent_column, "NEXUS_PURGE_AGENT"),
    ];
    for (is_needed, column, setting) in needed {
        if is_needed && !table.has(column) {
            return Err(Failure::new(Exit::Settings, format!("looking at table {table}"))
                .because(format!("it has no column {column}"))
                .advise(format!("Set {setting} to the column that has it")));
        }
    }
    let older = args.older_than.map(|age| ago(now, age)).transpose()?;
    let mut plain = RowFilter {
        types: args.kind.clone().map_or(Types::Any, Types::Only),
        before: older.or(args.before),
        until: None,
        tag: args.tag.clone(),
        agent: args.agent.clone(),
    };
    if plain.before.is_none() {
        // Who says "everything with this tag" means what is there now. What comes later is not forgotten with it, however
        // often the decision is carried out again.
        plain.until = Some(newest(control, table, &plain)?.unwrap_or(now));
    }
    let words = if args.all { vec!["--all"] } else { words(args) };
    Ok(vec![of_rows(format!("by hand: {}", words.join(" ")), &plain, table, Some(keys))])
}

/// The options that were given. Not their values: a tag or an agent may tell of a person.
fn words(args: &Args) -> Vec<&'static str> {
    let given = [
        (args.kind.is_some(), "--type"),
        (args.older_than.is_some(), "--older-than"),
        (args.tag.is_some(), "--tag"),
        (args.before.is_some(), "--before"),
        (args.agent.is_some(), "--agent"),
    ];
    given.into_iter().filter(|(is_given, _)| *is_given).map(|(_, word)| word).collect()
}

fn of_rows(by: String, plain: &RowFilter, table: &Table, keys: Option<&Keys>) -> Selection {
    let hashed = |purpose: &str, text: &Option<String>| {
        let (text, key) = (text.as_ref()?, keys?.current());
        Some(Hashed { key: key.id().clone(), hash: key.hash(purpose, text.as_bytes()) })
    };
    let rows = Rows {
        types: plain.types.clone(),
        before: plain.before,
        until: plain.until,
        tag: hashed("tag", &plain.tag),
        agent: hashed("agent", &plain.agent),
    };
    Selection {
        by,
        decisions: vec![Decision {
            table: table.place().clone(),
            forget: Forget::Rows(rows),
            adopted: None,
            found: None,
            agreed: false,
        }],
        condition: matches(plain, table),
        hints: plain.tag.iter().chain(&plain.agent).cloned().collect(),
    }
}

fn of_keys(args: &Args, table: &Table, control: &Control, keys: &Keys) -> Result<Selection> {
    let mut texts = Vec::new();
    for id in &args.episode {
        let doing = format!("argument --episode {id}");
        let normal = match control.try_rows(&format!("SELECT {}", table.key_normal(id)))? {
            Ok(rows) => rows.first().map(|row| row.get::<_, String>(0)),
            // Class 22, data exception: it is none.
            Err(error) if error.code().is_some_and(|code| code.code().starts_with("22")) => {
                return Err(Failure::new(Exit::Usage, doing)
                    .because(format!("column {} of {table} cannot hold that", args.key_column)));
            }
            Err(error) => return Err(from_client(doing, &error)),
        };
        texts.extend(normal);
    }
    texts.sort();
    texts.dedup();
    let key = keys.current();
    let decision = |texts: &[String]| {
        let hashes = texts.iter().map(|text| key.hash("id", text.as_bytes())).collect();
        let forget = Forget::Keys(Hashes { key: key.id().clone(), hashes });
        Decision { table: table.place().clone(), forget, adopted: None, found: None, agreed: false }
    };
    let column = quote::identifier(&args.key_column);
    Ok(Selection {
        by: "by hand: --episode".to_owned(),
        decisions: texts.chunks(Hashes::MOST).map(decision).collect(),
        condition: format!("{column} = ANY ({})", table.key_array(&texts)),
        hints: texts,
    })
}

fn newest(control: &Control, table: &Table, plain: &RowFilter) -> Result<Option<Timestamp>> {
    let time = quote::identifier(&table.place().time);
    let doing = "looking for the newest of those rows";
    let sql = format!(
        "SELECT (extract(epoch FROM max({time}) FILTER (WHERE pg_catalog.isfinite({time}))) * 1000000)::bigint FROM {} WHERE {}",
        table.qualified(),
        matches(plain, table)
    );
    let micros: Option<i64> = control.row(doing, &sql, &[])?.get(0);
    micros.map(Timestamp::from_microsecond).transpose().or_fail(Exit::Data, || doing)
}

fn ago(now: Timestamp, age: std::time::Duration) -> Result<Timestamp> {
    let doing = || format!("counting {} back", humantime::format_duration(age));
    let age = SignedDuration::try_from(age).or_fail(Exit::Usage, doing)?;
    now.checked_sub(age).or_fail(Exit::Usage, doing)
}
