//! Splits the archive's last section: vector indexes, and statements about them, are deferred; all else runs at once.

use std::collections::HashSet;

use nexus_restoring::statements::{Statement, Token, Unclosed, entries, split};

/// Access methods of pgvector. Their indexes are never unique, so no constraint depends on one.
const VECTOR_METHODS: [&str; 2] = ["hnsw", "ivfflat"];

/// Schema and name of an index.
type Name = (String, String);

/// A piece of the section.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// SQL to run at once, unchanged, as pg_restore would.
    Now(String),
    /// A deferred statement.
    Later(Later),
}

/// A deferred statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Later {
    /// The index that it creates.
    pub(super) index: Option<Name>,
    pub(super) statement: String,
    /// The tablespace of the index, unless it is the database's.
    pub(super) tablespace: Option<String>,
}

/// Splits the entries of `script` into pieces, in their order.
///
/// # Errors
/// [`Unclosed`] if the script is truncated.
pub(super) fn split_section(script: &str) -> Result<Vec<Work>, Unclosed> {
    let mut work = Vec::new();
    let mut later_names = HashSet::new();
    let mut tablespace = None;
    for (place, entry) in entries(script)?.into_iter().enumerate() {
        // A function's body may contain semicolons, so entries stay whole, except the preamble and deferred ones.
        let statements = split(entry).unwrap_or_default();
        let is_deferred = statements
            .iter()
            .find(|statement| setting(statement).is_none())
            .is_some_and(|first| is_deferred(first, &later_names));
        let is_preamble = place == 0;
        if !is_deferred && !is_preamble {
            work.push(Work::Now(entry.to_owned()));
        }
        for statement in statements {
            if let Some(name) = setting(&statement) {
                if name == "default_tablespace" {
                    tablespace = tablespace_of(&statement);
                }
                if is_deferred || is_preamble {
                    work.push(Work::Now(statement.text));
                }
            } else if is_deferred {
                let index = vector_index(&statement);
                later_names.extend(index.clone());
                let tablespace = index.as_ref().and(tablespace.clone());
                work.push(Work::Later(Later { index, statement: statement.text, tablespace }));
            } else if is_preamble {
                work.push(Work::Now(statement.text));
            }
        }
    }
    Ok(work)
}

/// Returns whether to defer this statement: it creates a vector index, or is about a deferred one.
fn is_deferred(statement: &Statement, later: &HashSet<Name>) -> bool {
    vector_index(statement).is_some() || subjects(statement).any(|name| later.contains(&name))
}

/// Returns the vector index that this statement creates: `CREATE INDEX name ON [ONLY] schema.table USING method …`.
fn vector_index(statement: &Statement) -> Option<Name> {
    let tokens = Words(statement);
    let is_index = tokens.is(0, "create") && tokens.is(1, "index") && tokens.is(3, "on");
    let at = if tokens.is(4, "only") { 5 } else { 4 };
    let is_vector =
        tokens.is(at + 3, "using") && VECTOR_METHODS.iter().any(|method| tokens.is(at + 4, method));
    (is_index && is_vector).then(|| Some((tokens.name(at)?, tokens.name(2)?))).flatten()
}

/// Returns the indexes that `ALTER INDEX a [ATTACH PARTITION b]` or `COMMENT ON INDEX a` names.
fn subjects(statement: &Statement) -> impl Iterator<Item = Name> {
    let tokens = Words(statement);
    let is = |words: &[&str]| words.iter().enumerate().all(|(place, word)| tokens.is(place, word));
    let places: &[usize] = if is(&["alter", "index"]) {
        if tokens.is(5, "attach") { &[2, 7] } else { &[2] }
    } else if is(&["comment", "on", "index"]) {
        &[3]
    } else {
        &[]
    };
    places.iter().filter_map(move |at| Some((tokens.name(*at)?, tokens.name(at + 2)?)))
}

/// Returns the name of the setting that a SET statement sets.
fn setting(statement: &Statement) -> Option<String> {
    Words(statement).is(0, "set").then(|| Words(statement).name(1)).flatten()
}

/// Returns the name in `SET default_tablespace = name`; `None` for `''`, the database's own tablespace.
fn tablespace_of(statement: &Statement) -> Option<String> {
    Words(statement).name(3)
}

/// A statement's words, by position.
#[derive(Clone, Copy)]
struct Words<'a>(&'a Statement);

impl Words<'_> {
    fn is(self, place: usize, word: &str) -> bool {
        matches!(self.0.tokens.get(place), Some((_, Token::Word(found))) if found == word)
    }

    fn name(self, place: usize) -> Option<String> {
        match self.0.tokens.get(place) {
            Some((_, Token::Word(name) | Token::Quoted(name))) => Some(name.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Output of pg_restore 18, shortened.
    const SCRIPT: &str = r#"--
-- PostgreSQL database dump
--

\restrict x

SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

SET default_tablespace = '';

--
-- Name: a a_pkey; Type: CONSTRAINT; Schema: m; Owner: o
--

ALTER TABLE ONLY m.a
    ADD CONSTRAINT a_pkey PRIMARY KEY (id);


SET default_tablespace = "Fast disk";

--
-- Name: near; Type: INDEX; Schema: m; Owner: o
--

CREATE INDEX near ON m.a USING hnsw (v public.vector_cosine_ops) WITH (m='16');


SET default_tablespace = '';

--
-- Name: Far; Type: INDEX; Schema: m; Owner: o
--

CREATE INDEX "Far" ON ONLY m.p USING ivfflat (v);


--
-- Name: words; Type: INDEX; Schema: m; Owner: o
--

CREATE INDEX words ON m.a USING gin (m.words(text)) WHERE (text <> ' USING hnsw (;'::text);


--
-- Name: p_1; Type: INDEX ATTACH; Schema: m; Owner: o
--

ALTER INDEX m."Far" ATTACH PARTITION m.p_1;


--
-- Name: INDEX near; Type: COMMENT; Schema: m; Owner: o
--

COMMENT ON INDEX m.near IS 'near; and far';


--
-- Name: f(); Type: FUNCTION; Schema: m; Owner: o
--

CREATE FUNCTION m.f() RETURNS void LANGUAGE sql BEGIN ATOMIC
 SELECT 1; COMMENT ON INDEX m.near IS 'x'; END;


\unrestrict x
"#;

    #[test]
    fn only_vector_indexes_and_statements_about_them_are_deferred() {
        // The archive reader cuts the end off.
        let script = SCRIPT.replace("\\unrestrict x\n", "");
        let work = split_section(&script).unwrap();
        let later: Vec<_> = work
            .iter()
            .filter_map(|work| match work {
                Work::Later(later) => Some((
                    later.index.as_ref().map(|(s, i)| format!("{s}.{i}")),
                    later.statement.as_str(),
                    later.tablespace.as_deref(),
                )),
                Work::Now(_) => None,
            })
            .collect();
        assert_eq!(
            later,
            [
                (
                    Some("m.near".to_owned()),
                    "CREATE INDEX near ON m.a USING hnsw (v public.vector_cosine_ops) WITH (m='16')",
                    Some("Fast disk")
                ),
                (Some("m.Far".to_owned()), "CREATE INDEX \"Far\" ON ONLY m.p USING ivfflat (v)", None),
                (None, "ALTER INDEX m.\"Far\" ATTACH PARTITION m.p_1", None),
                (None, "COMMENT ON INDEX m.near IS 'near; and far'", None),
            ]
        );
        let now: Vec<&str> = work
            .iter()
            .filter_map(|work| match work {
                Work::Now(sql) => Some(sql.as_str()),
                Work::Later(_) => None,
            })
            .collect();
        assert_eq!(now.len(), 7, "{now:#?}");
        assert!(!now.iter().any(|sql| sql.contains("restrict")));
        assert!(
            now[3].contains("ADD CONSTRAINT") && now[5].contains("gin") && now[6].ends_with("END;\n\n\n")
        );
        assert_eq!(now[4], "SET default_tablespace = ''");
    }

    #[test]
    fn a_truncated_script_is_an_error() {
        assert!(
            split_section("-- Name: x; Type: INDEX\nCREATE INDEX x ON a.b USING btree (c) WHERE (d = 'e")
                .is_err()
        );
    }
}
