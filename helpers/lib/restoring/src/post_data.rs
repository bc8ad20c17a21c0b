//! Restores the entries of post-data one by one: indexes, constraints, triggers, policies.
//! pg_restore stops at the first entry that the server refuses; this module restores the others,
//! names all refused ones, and lets the owner leave them out.

use nexus_backup_set::database_sql::list_of_literals;
use nexus_cli::failure::{Exit, Failure, OrFail, Refusal, Result};
use nexus_cli::text::printable;
use nexus_docker_client::protocol::Section;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use tokio_postgres::Error;

use crate::refused::{is_about_content, with_others, without};
use crate::statements::{Statement, Token, entries, split};
use crate::{Restoring, archive};

const DOING: &str = "restoring post-data";

/// `duplicate_object`, `duplicate_table` (an index is one) and `duplicate_function`.
const ALREADY_EXISTS: [&str; 3] = ["42710", "42P07", "42723"];

/// `undefined_object`, `undefined_table`, `invalid_foreign_key`: the errors for an index that does
/// not exist.
const IS_MISSING: [&str; 3] = ["42704", "42P01", "42830"];

/// Restores the section.
///
/// # Errors
/// Data (65) when the archive is damaged, or with the names of refused entries; errors of
/// the server and of pg_restore.
pub fn restore(restoring: &mut Restoring<'_>) -> Result<()> {
    let refused = if restoring.wanted.without.is_empty() {
        match archive::restore(restoring, Section::PostData) {
            Err(failure) if is_of_server(&failure) => Some(failure),
            outcome => return outcome,
        }
    } else {
        None
    };
    let is_again = refused.is_some();
    // The server's errors for the script say more than pg_restore's one line. If the script cannot
    // be read, report pg_restore's failure.
    let script = match (archive::post_data_script(restoring), refused) {
        (Err(_), Some(refused)) => return Err(refused),
        (script, _) => script?,
    };
    let mut runner = Runner::new(restoring, is_again)?;
    for entry in entries(&script).or_fail(Exit::Data, || DOING)? {
        runner.run(restoring, entry)?;
    }
    runner.finish(restoring)
}

/// Returns whether pg_restore stopped because the server refused an entry.
fn is_of_server(failure: &Failure) -> bool {
    failure.refusal().is_some_and(|refusal| refusal.message.contains("could not execute query"))
}

/// Runs entries and collects the refused ones.
pub struct Runner {
    control: Control,
    /// Whether pg_restore has run before, so that some entries already exist.
    is_again: bool,
    /// The search_paths of the set in the syntax of SET, with pg_catalog first, so that unqualified
    /// names of the server's own functions resolve to it.
    paths: Vec<String>,
    left_out: bool,
    refused: Vec<(String, Failure)>,
}

impl Runner {
    /// Opens a session in the new database.
    ///
    /// # Errors
    /// Errors of the server.
    pub fn new(restoring: &Restoring<'_>, is_again: bool) -> Result<Self> {
        let control = Control::open(&restoring.server, &restoring.database, restoring.stop)?;
        control.run(DOING, "SET lc_messages = 'C'")?;
        let paths = match &restoring.wanted.search_path {
            Some(path) => vec![list_of_literals(path)],
            None => restoring.manifest.postgres.properties.search_paths(),
        };
        let paths = paths.iter().map(|path| format!("pg_catalog, {path}")).collect();
        Ok(Self { control, is_again, paths, left_out: false, refused: Vec::new() })
    }

    /// Returns the session.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Runs an entry of the script, or the settings before the first entry.
    ///
    /// # Errors
    /// Errors of the server, unless it refuses the entry.
    pub fn run(&mut self, restoring: &mut Restoring<'_>, entry: &str) -> Result<()> {
        let (body, settings) = cut(entry);
        if let Some(label) = label(entry) {
            self.run_entry(restoring, &label, body)?;
        } else {
            for statement in split(body).unwrap_or_default() {
                self.control.run(DOING, &statement.text)?;
            }
        }
        for setting in settings {
            let places_a_table = Token::Word("default_tablespace".to_owned());
            if !(restoring.without_tablespaces
                && setting.tokens.iter().any(|(_, token)| *token == places_a_table))
            {
                self.control.run(DOING, &setting.text)?;
            }
        }
        Ok(())
    }

    fn run_entry(&mut self, restoring: &mut Restoring<'_>, label: &str, sql: &str) -> Result<()> {
        restoring.progress.doing(format!("restoring {}", printable(label)));
        if restoring.wanted.without.iter().any(|wanted| wanted == label) {
            restoring.leave_out(label, "");
            self.left_out = true;
            return Ok(());
        }
        let progress = restoring.progress;
        let try_once = |sql: &str| self.control.try_run_while(sql, || progress.advance(0));
        let Err(error) = try_once(sql)? else { return Ok(()) };
        let failure = from_client(format!("restoring {}", printable(label)), &error);
        if self.is_again && already_exists(&error) {
            return Ok(());
        }
        if !is_about_content(&failure) {
            return Err(failure);
        }
        if self.left_out && IS_MISSING.contains(&sqlstate(&error)) {
            restoring.leave_out(label, ", because it needs what is left out");
            return Ok(());
        }
        for path in &self.paths {
            self.control.run(DOING, &format!("SET search_path TO {path}"))?;
            let outcome = try_once(sql)?;
            self.control.run(DOING, "SET search_path TO ''")?;
            if outcome.is_ok() {
                let note = format!(
                    "{} was restored with search_path {}: its functions use names without a schema",
                    printable(label),
                    printable(path)
                );
                restoring.note(note);
                return Ok(());
            }
        }
        self.refused.push((label.to_owned(), explained(failure)));
        Ok(())
    }

    /// Succeeds if no entry was refused.
    ///
    /// # Errors
    /// Data (65) with the names of all refused entries.
    pub fn finish(self, restoring: &Restoring<'_>) -> Result<()> {
        let labels: Vec<String> = self.refused.iter().map(|(label, _)| label.clone()).collect();
        let Some((_, first)) = self.refused.first() else { return Ok(()) };
        Err(Failure::new(Exit::Data, with_others(first, &labels[1..])).advise(format!(
            "Everything else can be restored. Repair it in the live database and back that up, or restore this set without it: {}",
            without(restoring, &labels)
        )))
    }
}

fn sqlstate(error: &Error) -> &str {
    error.code().map_or("", tokio_postgres::error::SqlState::code)
}

fn already_exists(error: &Error) -> bool {
    let message = error.as_db_error().map_or("", |error| error.message());
    ALREADY_EXISTS.contains(&sqlstate(error))
        || (sqlstate(error) == "42P16" && message.starts_with("multiple primary keys"))
}

/// Adds to the failure where to look: the columns of a key, never its values.
fn explained(failure: Failure) -> Failure {
    let Some(Refusal { sqlstate, table: Some((schema, table)), constraint: Some(constraint), key, .. }) =
        failure.refusal()
    else {
        return failure;
    };
    let key = key.as_ref().map_or_else(String::new, |key| format!(" ({})", printable(key)));
    let (table, constraint) = (printable(&format!("{schema}.{table}")), printable(constraint));
    let why = match sqlstate.as_str() {
        "23505" => {
            format!("table {table} has duplicate rows for the key{key} of the unique index {constraint}")
        }
        "23P01" => {
            format!("table {table} holds rows that exclude each other by the key{key} of {constraint}")
        }
        "23503" => format!("table {table} holds rows whose key{key} has no matching row for {constraint}"),
        "23514" => format!("table {table} holds rows that violate {constraint}"),
        _ => return failure,
    };
    Failure::new(Exit::Data, why)
}

/// Returns pg_restore's name of an entry: `public.a a_pkey` for `-- Name: a a_pkey; Type:
/// CONSTRAINT; Schema: public; Owner: o`.
fn label(entry: &str) -> Option<String> {
    let head = entry.lines().next()?.strip_prefix("-- Name: ")?;
    let (head, rest) = head.rsplit_once("; Schema: ")?;
    let (name, _) = head.rsplit_once("; Type: ")?;
    let (schema, _) = rest.rsplit_once("; Owner: ")?;
    Some(if schema == "-" { name.to_owned() } else { format!("{schema}.{name}") })
}

/// Splits off the settings at the end of an entry, which belong to the next one.
fn cut(entry: &str) -> (&str, Vec<Statement>) {
    // The body of a function may contain semicolons, but its last statement is not a setting.
    let mut statements = split(entry).unwrap_or_default();
    let is_setting = |statement: &Statement| matches!(statement.tokens.first(), Some((_, Token::Word(word))) if word == "set");
    let first = statements.iter().rposition(|statement| !is_setting(statement)).map_or(0, |last| last + 1);
    let settings = statements.split_off(first);
    let end = settings
        .iter()
        .rev()
        .fold(entry.len(), |end, setting| entry[..end].rfind(&setting.text).unwrap_or(end));
    (&entry[..end], settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_the_name_that_pg_restore_gives_it() {
        for (head, name) in [
            ("-- Name: a a_pkey; Type: CONSTRAINT; Schema: public; Owner: o", Some("public.a a_pkey")),
            ("-- Name: i; Type: INDEX; Schema: m; Owner: o; Tablespace: fast", Some("m.i")),
            ("-- Name: p; Type: PUBLICATION; Schema: -; Owner: o", Some("p")),
            ("-- Name: a; Type: b; Type: INDEX; Schema: m; Owner: o", Some("m.a; Type: b")),
            ("SET a = 1;", None),
        ] {
            assert_eq!(label(head).as_deref(), name, "{head}");
        }
    }

    #[test]
    fn settings_at_the_end_of_an_entry_belong_to_the_next() {
        let entry = "-- Name: a; Type: INDEX\n--\n\nCREATE INDEX a ON b (c);\n\n\nSET default_tablespace = fast;\n\nSET x = 'SET y;';\n--\n";
        let (body, settings) = cut(entry);
        assert_eq!(body, "-- Name: a; Type: INDEX\n--\n\nCREATE INDEX a ON b (c);\n\n\n");
        let texts: Vec<_> = settings.iter().map(|setting| setting.text.as_str()).collect();
        assert_eq!(texts, ["SET default_tablespace = fast", "SET x = 'SET y;'"]);
        let function =
            "-- Name: f(); Type: FUNCTION\nCREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2; END;\n";
        assert_eq!(cut(function), (function, vec![]));
        // The text before the first entry.
        let preamble = "SET a = 1;\nSELECT pg_catalog.set_config('search_path', '', false);\nSET b = 2;\n";
        assert_eq!(cut(preamble).0, "SET a = 1;\nSELECT pg_catalog.set_config('search_path', '', false);\n");
    }

    #[test]
    fn a_duplicate_key_is_reported_by_table_index_and_columns() {
        let refusal = Refusal {
            sqlstate: "23505".to_owned(),
            message: "could not create unique index \"a_pkey\"".to_owned(),
            table: Some(("public".to_owned(), "a".to_owned())),
            constraint: Some("a_pkey".to_owned()),
            key: Some("id".to_owned()),
        };
        let failure = explained(Failure::new(Exit::Unavailable, "restoring").refused_with(refusal));
        let said = "table public.a has duplicate rows for the key (id) of the unique index a_pkey";
        assert_eq!((failure.exit(), failure.to_string().as_str()), (Exit::Data, said));
    }
}
