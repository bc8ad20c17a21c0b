//! Selects the rows to forget, from the rules or from the command line: as decisions for the ledger, and as SQL conditions.

use jiff::{SignedDuration, Timestamp};
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_ledger::forgetting::{RowFilter, Table, matches};
use nexus_ledger::{Decision, Forget, Hashed, Hashes, Keys, Rows, Types};
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;

use crate::args::Args;

/// Rows to forget.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// The rule, or the options of the command line.
    pub(crate) by: String,
    /// The decisions for the ledger; several if one line cannot hold them.
    pub(crate) decisions: Vec<Decision>,
    /// The SQL condition.
    pub(crate) condition: String,
    /// The texts whose hashes are in the decisions.
    pub(crate) hints: Vec<String>,
}

/// Returns the selections of the rules in NEXUS_TTL, as of `now`.
///
/// # Errors
/// Usage (64) when an age goes back before the earliest time.
pub(crate) fn of_rules(args: &Args, table: &Table, now: Timestamp) -> Result<Vec<Selection>> {
    let mut selections = Vec::new();
    for rule in &args.ttl.0 {
        let Some(age) = rule.age else { continue };
        let types = rule.kind.clone().map_or_else(|| Types::Except(args.ttl.kinds()), Types::Only);
        let filter = RowFilter { types, before: Some(ago(now, age)?), ..RowFilter::default() };
        selections.push(of_rows(format!("rule {}", rule.text), &filter, table, None));
    }
    Ok(selections)
}

/// Returns the selections of the command line.
///
/// # Errors
/// Usage (64) for an invalid id; Settings (78) when the table has no such column.
pub(crate) fn of_arguments(
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
        (args.tag.is_some(), &args.tags_column, "the tags", "NEXUS_PURGE_TAGS"),
        (args.agent.is_some(), &args.agent_column, "the agent", "NEXUS_PURGE_AGENT"),
    ];
    for (is_needed, column, content, setting) in needed {
        if is_needed && !table.has(column) {
            return Err(Failure::new(Exit::Settings, format!("checking table {table}"))
                .because(format!("it has no column {column}"))
                .advise(format!("Set {setting} in /etc/nexus/nexus.env to the column that has {content}")));
        }
    }
    let older = args.older_than.map(|age| ago(now, age)).transpose()?;
    let mut filter = RowFilter {
        types: args.kind.clone().map_or(Types::Any, Types::Only),
        before: older.or(args.before),
        until: None,
        tag: args.tag.clone(),
        agent: args.agent.clone(),
    };
    if filter.before.is_none() {
        // "Everything with this tag" means the rows of today. A replay must not delete later ones.
        filter.until = Some(newest(control, table, &filter)?.unwrap_or(now));
    }
    let options = if args.all { vec!["--all"] } else { options(args) };
    Ok(vec![of_rows(format!("by hand: {}", options.join(" ")), &filter, table, Some(keys))])
}

/// Returns the options without their values, because a tag or an agent may identify a person.
fn options(args: &Args) -> Vec<&'static str> {
    let given = [
        (args.kind.is_some(), "--type"),
        (args.older_than.is_some(), "--older-than"),
        (args.tag.is_some(), "--tag"),
        (args.before.is_some(), "--before"),
        (args.agent.is_some(), "--agent"),
    ];
    given.into_iter().filter(|(is_given, _)| *is_given).map(|(_, option)| option).collect()
}

fn of_rows(by: String, filter: &RowFilter, table: &Table, keys: Option<&Keys>) -> Selection {
    let hashed = |purpose: &str, text: &Option<String>| {
        let (text, key) = (text.as_ref()?, keys?.current());
        Some(Hashed { key: key.id().clone(), hash: key.hash(purpose, text.as_bytes()) })
    };
    let rows = Rows {
        types: filter.types.clone(),
        before: filter.before,
        until: filter.until,
        tag: hashed("tag", &filter.tag),
        agent: hashed("agent", &filter.agent),
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
        condition: matches(filter, table),
        hints: filter.tag.iter().chain(&filter.agent).cloned().collect(),
    }
}

fn of_keys(args: &Args, table: &Table, control: &Control, keys: &Keys) -> Result<Selection> {
    let mut texts = Vec::new();
    for id in &args.episode {
        let doing = format!("argument --episode {id}");
        let normal = match control.try_rows(&format!("SELECT {}", table.key_normal(id)))? {
            Ok(rows) => rows.first().map(|row| row.get::<_, String>(0)),
            // Class 22, data exception: the id is invalid.
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

fn newest(control: &Control, table: &Table, filter: &RowFilter) -> Result<Option<Timestamp>> {
    let time = quote::identifier(&table.place().time);
    let doing = "looking for the newest selected row";
    let sql = format!(
        "SELECT (extract(epoch FROM max({time}) FILTER (WHERE pg_catalog.isfinite({time}))) * 1000000)::bigint FROM {} WHERE {}",
        table.qualified(),
        matches(filter, table)
    );
    let micros: Option<i64> = control.row(doing, &sql, &[])?.get(0);
    micros.map(Timestamp::from_microsecond).transpose().or_fail(Exit::Data, || doing)
}

fn ago(now: Timestamp, age: std::time::Duration) -> Result<Timestamp> {
    let doing = || format!("subtracting {} from the current time", humantime::format_duration(age));
    let age = SignedDuration::try_from(age).or_fail(Exit::Usage, doing)?;
    now.checked_sub(age).or_fail(Exit::Usage, doing)
}
