//! Finds functions that a restore calls and that use names without a schema. A restore has an empty search_path, as
//! pg_dump's archives require, so these names are not found. The function then fails, and with it the CHECK constraint,
//! generated column, index or materialized view that calls it.
//!
//! This module only reads the functions' sources. It never runs them: other roles wrote them, and this session is a superuser's.

use std::collections::{BTreeMap, BTreeSet};

use nexus_backup_set::manifest::BareNames;
use nexus_cli::failure::Result;
use nexus_postgres::failure::from_client;
use nexus_restoring::statements::{Token, split};
use tokio_postgres::Client;

/// Lists the objects that a restore evaluates, with the functions they depend on, except PostgreSQL's own.
const ROOTS: &str = "\
SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, 0), d.refobjid \
FROM pg_catalog.pg_depend d \
WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid >= 16384 AND ( \
  d.classid IN ('pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass) \
  OR d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND EXISTS (SELECT FROM pg_catalog.pg_attrdef f \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum \
    WHERE f.oid = d.objid AND a.attgenerated <> '') \
  OR d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND EXISTS (SELECT FROM pg_catalog.pg_rewrite r \
    JOIN pg_catalog.pg_class c ON c.oid = r.ev_class WHERE r.oid = d.objid AND c.relkind = 'm')) \
ORDER BY 1, 2";

/// Lists the functions that are not PostgreSQL's own. Includes the source if its names are resolved when the function runs.
const FUNCTIONS: &str = "\
SELECT p.oid, p.proname::text, \
  pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)), \
  CASE WHEN l.lanname IN ('sql', 'plpgsql') AND p.prosqlbody IS NULL \
      AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) c WHERE c ~ '^search_path=') THEN p.prosrc END, \
  EXISTS (SELECT FROM pg_catalog.pg_proc b JOIN pg_catalog.pg_namespace m ON m.oid = b.pronamespace \
    WHERE m.nspname = 'pg_catalog' AND b.proname = p.proname) \
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')";

/// Lists the relations and types that are not PostgreSQL's own. A relation's row type has the relation's name.
const TYPES: &str = "\
SELECT t.typname::text, t.typrelid <> 0 FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND t.typelem = 0";

/// A function that is not PostgreSQL's own.
struct Function {
    identity: String,
    source: Option<String>,
}

/// The names that a source may contain.
#[derive(Default)]
struct Names {
    /// OIDs by name; overloaded functions share one.
    functions: BTreeMap<String, Vec<u32>>,
    /// Names that PostgreSQL's own functions also have. These resolve without a search_path.
    built_in: BTreeSet<String>,
    relations: BTreeSet<String>,
    types: BTreeSet<String>,
}

/// Lists the objects that need a search_path when they are restored.
pub(crate) async fn read(client: &Client) -> Result<Vec<BareNames>> {
    let failed = |e| from_client("looking for functions that need a search_path", &e);
    let roots = client.query(ROOTS, &[]).await.map_err(failed)?;
    if roots.is_empty() {
        return Ok(Vec::new());
    }
    let mut names = Names::default();
    let mut functions = BTreeMap::new();
    for row in client.query(FUNCTIONS, &[]).await.map_err(failed)? {
        let (oid, name): (u32, String) = (row.get(0), row.get(1));
        if row.get(4) {
            names.built_in.insert(name.clone());
        }
        names.functions.entry(name).or_default().push(oid);
        functions.insert(oid, Function { identity: row.get(2), source: row.get(3) });
    }
    for row in client.query(TYPES, &[]).await.map_err(failed)? {
        if row.get(1) {
            names.relations.insert(row.get(0));
        }
        names.types.insert(row.get(0));
    }
    let found = roots.iter().flat_map(|row| reached(row.get(0), row.get(1), &functions, &names));
    Ok(found.collect())
}

/// Returns the names without a schema in the functions that `object` calls, beginning with `root`.
fn reached(object: &str, root: u32, functions: &BTreeMap<u32, Function>, names: &Names) -> Vec<BareNames> {
    let (mut found, mut seen, mut next) = (Vec::new(), BTreeSet::new(), vec![root]);
    while let Some(oid) = next.pop() {
        let Some(Function { identity, source: Some(source) }) = functions.get(&oid) else { continue };
        if !seen.insert(oid) {
            continue;
        }
        let (bare, calls) = scan(source, names);
        if !bare.is_empty() {
            let (object, function) = (object.to_owned(), identity.clone());
            found.push(BareNames { object, function, names: bare.into_iter().collect() });
        }
        next.extend(calls);
    }
    found
}

/// Returns the names without a schema in a function's source, and the functions that it calls with one.
fn scan(source: &str, names: &Names) -> (BTreeSet<String>, BTreeSet<u32>) {
    let (mut bare, mut calls) = (BTreeSet::new(), BTreeSet::new());
    // A source that cannot be parsed here is invalid in its own language too, or follows another syntax.
    let statements = split(&format!("{source}\n;")).unwrap_or_default();
    let tokens: Vec<&Token> =
        statements.iter().flat_map(|s| s.tokens.iter().map(|(_, token)| token)).collect();
    let is = |at: Option<usize>, symbol| at.and_then(|at| tokens.get(at)) == Some(&&Token::Symbol(symbol));
    let identifier = |at: usize| match tokens.get(at) {
        Some(Token::Word(name) | Token::Quoted(name)) => Some(name),
        _ => None,
    };
    let word = |at: Option<usize>| at.and_then(identifier).map(String::as_str);
    // WITH name AS (…)
    let ctes: BTreeSet<&String> = (0..tokens.len())
        .filter(|at| word(Some(at + 1)) == Some("as") && is(Some(at + 2), '('))
        .filter_map(identifier)
        .collect();
    for (at, name) in (0..tokens.len()).filter_map(|at| Some((at, identifier(at)?))) {
        let before = at.checked_sub(1);
        let is_called = is(Some(at + 1), '(');
        if is(before, '.') {
            calls.extend(names.functions.get(name).filter(|_| is_called).into_iter().flatten());
            continue;
        }
        let of_relation = matches!(word(before), Some("from" | "join" | "into" | "update" | "only"));
        let is_cast = is(before, ':') && is(at.checked_sub(2), ':');
        let is_bare = !is(Some(at + 1), '.')
            && (is_called && names.functions.contains_key(name) && !names.built_in.contains(name)
                || of_relation && !is_called && names.relations.contains(name) && !ctes.contains(name)
                || is_cast && names.types.contains(name));
        if is_bare {
            bare.insert(name.clone());
        }
    }
    (bare, calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Names {
            functions: [("squash", 1), ("slug", 2), ("lower", 3)]
                .map(|(n, oid)| (n.to_owned(), vec![oid]))
                .into(),
            built_in: set(&["lower"]),
            relations: set(&["people", "p"]),
            types: set(&["mood", "people"]),
        }
    }

    #[track_caller]
    fn bare(source: &str, expected: &[&str]) {
        let found: Vec<_> = scan(source, &names()).0.into_iter().collect();
        assert_eq!(found, expected, "{source}");
    }

    #[test]
    fn names_without_a_schema_are_found() {
        bare("BEGIN RETURN replace(squash(t), ' ', '-'); END", &["squash"]);
        bare("SELECT name FROM people JOIN public.p ON true", &["people"]);
        bare("SELECT t::mood", &["mood"]);
        bare("SELECT \"squash\" (t)", &["squash"]);
    }

    #[test]
    fn names_that_resolve_without_a_search_path_are_ignored() {
        bare("SELECT lower(t), public.squash(t), t::public.mood, t::text -- squash(t)", &[]);
        bare("SELECT 'squash(t)', $x$ FROM people $x$", &[]);
        bare("WITH people AS (SELECT 1) SELECT 1 FROM people", &[]);
        bare("a body of another kind with an open ' quote", &[]);
    }

    #[test]
    fn functions_called_with_their_schema_are_scanned_too() {
        let function = |identity: &str, source: &str| Function {
            identity: identity.to_owned(),
            source: Some(source.to_owned()),
        };
        let functions = [
            (2, function("public.slug(text)", "SELECT public.squash(t)")),
            (1, function("public.squash(text)", "SELECT slug(t)")),
        ];
        let found = reached("index public.i", 2, &functions.into(), &names());
        let expected = BareNames {
            object: "index public.i".to_owned(),
            function: "public.squash(text)".to_owned(),
            names: vec!["slug".to_owned()],
        };
        assert_eq!(found, [expected]);
    }
}
