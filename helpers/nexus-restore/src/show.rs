//! `nexus-restore show`: prints the manifest of a set.

use std::fmt::Write;

use nexus_backup_set::directory::SetEntry;
use nexus_backup_set::locate::{IdentitySource, find_set};
use nexus_backup_set::manifest::Manifest;
use nexus_backup_set::verify::size_of;
use nexus_cli::failure::Result;
use nexus_cli::output;
use nexus_cli::progress::human_bytes;
use nexus_cli::text::{columns, counted, grouped, moment, printable};

use crate::args::ShowArgs;

/// Prints the manifest.
///
/// # Errors
/// Permission (77) if no identity decrypts the manifest, Data (65) if it is damaged.
pub(crate) fn run(args: &ShowArgs) -> Result<()> {
    let set = find_set(&args.common.backup_dir, &args.set)?;
    let manifest =
        Manifest::read(&set.path, &IdentitySource::with(args.key.identity.as_deref()).identities()?)?;
    if args.common.json { output::json(&manifest) } else { output::print(&text(&set, &manifest)) }
}

fn text(set: &SetEntry, manifest: &Manifest) -> String {
    let postgres = &manifest.postgres;
    let properties = &postgres.properties;
    let mut facts = vec![
        ("set", set.name.to_string()),
        ("taken", moment(manifest.taken)),
        ("written by", format!("NEXUS {}", manifest.nexus_version)),
        ("size", human_bytes(size_of(&set.path))),
        ("database", postgres.database.clone()),
        ("owner", properties.owner.clone()),
        ("server", format!("PostgreSQL {}", postgres.server_version)),
        ("encoding", properties.encoding.clone()),
        ("locale", format!("{} {}", provider(&properties.locale_provider), locale(manifest))),
    ];
    let extensions: Vec<_> = postgres.extensions.iter().map(|(n, v)| format!("{n} {v}")).collect();
    facts.push(("extensions", extensions.join(", ")));
    facts.push((
        "rows",
        format!("{} in {}", grouped(manifest.rows()), counted(manifest.tables.len() as u64, "table")),
    ));
    facts.push(("sequences", manifest.sequences.len().to_string()));
    let large_objects = manifest.large_objects.as_ref().map_or(0, |objects| objects.count);
    facts.push(("large objects", grouped(large_objects)));
    facts.push(("redis", manifest.redis.as_ref().map_or_else(|| "no".to_owned(), redis)));
    if let Some(why) = &manifest.redis_missing {
        facts.push(("", format!("it could not be read: {why}")));
    }
    if let Some(left_out) = &manifest.left_out {
        facts.push(("left out", format!("the passwords of {}", left_out.passwords.join(", "))));
        facts.extend(left_out.sentence().map(|sentence| ("", sentence)));
    }
    facts.extend(manifest.recipients.iter().map(|recipient| ("readable by", recipient.clone())));
    if let Some(all) = manifest.timings.get("all") {
        facts.push(("took", format!("{}.{:01} s", all / 1000, all % 1000 / 100)));
    }
    let mut text = String::new();
    for (name, fact) in facts {
        // The set's author chose the facts, which may contain control characters. Writing to a String does not fail.
        let _written = writeln!(text, "{name:<14}{}", printable(&fact));
    }
    text.push('\n');
    text.push_str(&tables(manifest));
    text
}

fn provider(letter: &str) -> &str {
    match letter {
        "c" => "libc",
        "i" => "ICU",
        "b" => "builtin",
        other => other,
    }
}

fn locale(manifest: &Manifest) -> String {
    let properties = &manifest.postgres.properties;
    properties.locale.clone().unwrap_or_else(|| properties.collate.clone())
}

fn redis(redis: &nexus_backup_set::manifest::Redis) -> String {
    format!(
        "{}, {}, from Redis {}",
        counted(redis.keys.values().copied().fold(0, u64::saturating_add), "key"),
        human_bytes(redis.bytes),
        redis.version
    )
}

fn tables(manifest: &Manifest) -> String {
    let head = ["table", "rows", "bytes", "format"].map(str::to_owned).to_vec();
    let rows = manifest.tables.iter().map(|table| {
        vec![table.label(), grouped(table.rows), human_bytes(table.bytes), table.format.as_str().to_owned()]
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
