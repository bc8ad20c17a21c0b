//! Data outside the memory's database. No set holds it, and `nexus-upgrade-postgres --finish` removes it.

use nexus_cli::text::listed;

use super::session::{Session, SessionError};
use crate::context::Context;
use crate::finding::Finding;
use crate::report::Report;

/// The databases of the server, except that of the memory, those that every server has, and those that nexus-restore creates, whose
/// names are the memory's name, a space and more.
const DATABASES: &str = "\
SELECT datname::text FROM pg_catalog.pg_database \
WHERE datname NOT IN ('postgres', 'template0', 'template1', current_database()) \
 AND datname !~ ' (restoring [0-9]+|(before [0-9]+|undone) [0-9]{8}T[0-9]{6}Z)$' ORDER BY 1";

/// The tables of users in the database `postgres`.
const TABLES: &str = "\
SELECT c.oid::regclass::text FROM pg_catalog.pg_class c \
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^(pg_|information_schema$)' ORDER BY 1";

pub(super) fn check(session: &Session, ctx: &Context, report: &mut Report) -> Result<(), SessionError> {
    let databases = session.names(DATABASES)?;
    let mut settings = ctx.args.server.clone();
    // If the memory itself is in `postgres`, its tables are in every set.
    let tables = if settings.database == "postgres" {
        Vec::new()
    } else {
        "postgres".clone_into(&mut settings.database);
        Session::open(&settings)?.names(TABLES)?
    };
    report.found(judge(databases, &tables, &ctx.args.left_out));
    Ok(())
}

fn judge(mut databases: Vec<String>, tables: &[String], left_out: &[String]) -> Finding {
    databases.retain(|name| !left_out.contains(name));
    let in_postgres = !tables.is_empty() && !left_out.iter().any(|name| name == "postgres");
    let mut what = Vec::new();
    if !databases.is_empty() {
        what.push(named("database", &databases));
    }
    if in_postgres {
        what.push(format!("{} of the database postgres", named("table", tables)));
    }
    let Some(first) = databases.first().map(String::as_str).or(in_postgres.then_some("postgres")) else {
        return Finding::ok("databases", "Everything in the server that needs a backup is in the sets.");
    };
    Finding::warning(
        "databases",
        format!("No backup set has {}.", what.join(", and ")),
        format!(
            "Back up each database: docker exec nexus-postgres pg_dump -Fc -d '{first}' >FILE; if you back up these databases in \
             another way, set NEXUS_HEALTH_LEFT_OUT={} in /etc/nexus/nexus.env, then: systemctl restart nexus-health",
            databases
                .iter()
                .map(String::as_str)
                .chain(in_postgres.then_some("postgres"))
                .collect::<Vec<_>>()
                .join(",")
        ),
    )
}

/// Returns `the table a` or `the tables a, b`.
fn named(one: &str, names: &[String]) -> String {
    format!("the {one}{} {}", if names.len() == 1 { "" } else { "s" }, listed(names))
}

#[cfg(test)]
mod tests {
    use crate::level::FindingLevel;

    #[test]
    fn data_in_no_set_is_named_unless_it_is_left_out() {
        let judge = |databases: &[&str], tables: &[&str], left_out: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            super::judge(owned(databases), &owned(tables), &owned(left_out))
        };
        assert_eq!(judge(&[], &[], &[]).level, FindingLevel::Ok);
        let finding = judge(&["blog", "notes"], &["public.t"], &["blog"]);
        assert_eq!(
            finding.sentence,
            "No backup set has the database notes, and the table public.t of the database postgres."
        );
        assert!(finding.advice.contains("-d 'notes'") && finding.advice.contains("=notes,postgres in "));
        assert_eq!(judge(&["notes"], &["public.t"], &["notes", "postgres"]).level, FindingLevel::Ok);
    }
}
