//! Plans which roles of a set to create: those that do not exist, with all their properties. An
//! existing role stays unchanged.

use std::collections::BTreeSet;

use crate::statements::{Statement, Token};

/// The roles of the server.
#[derive(Clone, Debug, Default)]
pub(super) struct Existing {
    pub(super) roles: BTreeSet<String>,
    /// `(role, member)`
    pub(super) memberships: BTreeSet<(String, String)>,
    /// `(role, setting, value as SQL)` of ALTER ROLE … SET.
    pub(super) settings: BTreeSet<(String, String, String)>,
}

/// The statements to run, and notes for the owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RolePlan {
    /// The roles to create, in order.
    pub(super) create: Vec<String>,
    /// The new roles that may log in and have no password yet.
    pub(super) login: Vec<String>,
    /// The statements to run, in order.
    pub(super) run: Vec<Run>,
    /// `(role, member)` pairs that the server lacks although both roles exist.
    pub(super) missing: Vec<(String, String)>,
    /// Settings that existing roles lack. The owner must apply them.
    pub(super) settings: Vec<String>,
}

/// A statement to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) text: String,
    /// The same statement without GRANTED BY, if it has one: the grantor may not exist here.
    pub(super) without_grantor: Option<String>,
    /// The role that it creates.
    pub(super) creates: Option<String>,
}

/// The subject of a statement.
#[derive(Debug, PartialEq, Eq)]
enum Subject {
    Creation(String),
    Role(String),
    Membership { role: String, member: String },
    Parameter { grantee: String },
    Other,
}

/// Makes a plan from the statements of pg_dumpall --roles-only.
pub(super) fn plan(statements: &[Statement], existing: &Existing) -> RolePlan {
    let mut plan = RolePlan::default();
    for statement in statements {
        let is_new = |plan: &RolePlan, name: &String| plan.create.contains(name);
        match subject(statement) {
            Subject::Creation(role) if !existing.roles.contains(&role) => {
                plan.run.push(Run { creates: Some(role.clone()), ..run(statement) });
                plan.create.push(role);
            }
            Subject::Role(role) if is_new(&plan, &role) => {
                if has_keyword(statement, "login") {
                    plan.login.push(role);
                }
                plan.run.push(run(statement));
            }
            Subject::Role(role) => {
                let is_there = |(name, value)| existing.settings.contains(&(role, name, value));
                if setting(statement).is_some_and(|setting| !is_there(setting)) {
                    plan.settings.push(statement.text.clone());
                }
            }
            Subject::Membership { role, member } => {
                if is_new(&plan, &role) || is_new(&plan, &member) {
                    plan.run.push(run(statement));
                } else if !existing.memberships.contains(&(role.clone(), member.clone())) {
                    plan.missing.push((role, member));
                }
            }
            Subject::Parameter { grantee } if is_new(&plan, &grantee) => plan.run.push(run(statement)),
            _ => {}
        }
    }
    plan.missing.dedup();
    plan
}

fn run(statement: &Statement) -> Run {
    let words: Vec<_> = statement.tokens.iter().map(|(_, token)| word(token)).collect();
    let grantor = words.windows(2).position(|pair| pair == [Some("granted"), Some("by")]);
    let is_grant = words.first() == Some(&Some("grant"));
    Run {
        text: statement.text.clone(),
        without_grantor: grantor
            .filter(|_| is_grant)
            .map(|at| statement.text[..statement.tokens[at].0].trim_end().to_owned()),
        creates: None,
    }
}

fn subject(statement: &Statement) -> Subject {
    let tokens: Vec<_> = statement.tokens.iter().map(|(_, token)| token).collect();
    let words: Vec<_> = tokens.iter().map(|token| word(token)).collect();
    let name_at = |at: usize| tokens.get(at).and_then(|token| name(token));
    let after = |keyword| words.iter().position(|w| *w == Some(keyword)).and_then(|at| name_at(at + 1));
    match words.as_slice() {
        [Some("create"), Some("role"), ..] => name_at(2).map(Subject::Creation),
        [Some("alter"), Some("role"), ..] => name_at(2).map(Subject::Role),
        [Some("comment"), Some("on"), Some("role"), ..] => name_at(3).map(Subject::Role),
        [Some("grant"), _, Some("to"), ..] => match (name_at(1), name_at(3)) {
            (Some(role), Some(member)) => Some(Subject::Membership { role, member }),
            _ => None,
        },
        [Some("grant"), rest @ ..] if rest.windows(2).any(|pair| pair == [Some("on"), Some("parameter")]) => {
            after("to").map(|grantee| Subject::Parameter { grantee })
        }
        _ => None,
    }
    .unwrap_or(Subject::Other)
}

/// Returns the name and value of `ALTER ROLE role SET name TO value`.
fn setting(statement: &Statement) -> Option<(String, String)> {
    let [_, _, _, (_, set), (_, setting), (_, to), (at, _), ..] = statement.tokens.as_slice() else {
        return None;
    };
    let is_one = word(set) == Some("set") && word(to) == Some("to");
    is_one.then(|| Some((name(setting)?, statement.text[*at..].trim_end().to_owned())))?
}

fn has_keyword(statement: &Statement, keyword: &str) -> bool {
    statement.tokens.iter().skip(3).any(|(_, token)| word(token) == Some(keyword))
}

fn word(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) => Some(word),
        _ => None,
    }
}

fn name(token: &Token) -> Option<String> {
    match token {
        Token::Word(name) | Token::Quoted(name) => Some(name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::split;

    /// The output of pg_dumpall of PostgreSQL 18, shortened.
    const DUMP: &str = r#"
--
-- Roles
--
\restrict x
SET default_transaction_read_only = off;
CREATE ROLE ana;
ALTER ROLE ana WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS;
COMMENT ON ROLE ana IS 'likes login; really';
CREATE ROLE "Group to";
ALTER ROLE "Group to" WITH NOSUPERUSER NOLOGIN;
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER LOGIN;
ALTER ROLE ana SET search_path TO 'a', 'b';
ALTER ROLE postgres SET work_mem TO '1GB';
GRANT "Group to" TO ana WITH ADMIN OPTION, INHERIT TRUE GRANTED BY postgres;
GRANT pg_read_all_data TO postgres WITH INHERIT TRUE GRANTED BY postgres;
GRANT SET ON PARAMETER work_mem TO ana;
GRANT SET ON PARAMETER work_mem TO postgres;
\unrestrict x
"#;

    fn existing(roles: &[&str]) -> Existing {
        Existing { roles: roles.iter().map(ToString::to_string).collect(), ..Existing::default() }
    }

    #[test]
    fn new_roles_are_created_with_all_properties_and_existing_ones_stay_unchanged() {
        let plan = plan(&split(DUMP).unwrap(), &existing(&["postgres", "pg_read_all_data"]));
        assert_eq!(plan.create, ["ana", "Group to"]);
        assert_eq!(plan.login, ["ana"]);
        let texts: Vec<_> = plan.run.iter().map(|run| run.text.as_str()).collect();
        assert_eq!(texts.len(), 8, "{texts:?}");
        assert!(texts.iter().all(|text| !text.contains("ROLE postgres")));
        assert!(texts.contains(&"GRANT SET ON PARAMETER work_mem TO ana"));
        let grant = plan.run.iter().find(|run| run.text.starts_with("GRANT \"Group")).unwrap();
        let without = "GRANT \"Group to\" TO ana WITH ADMIN OPTION, INHERIT TRUE";
        assert_eq!(grant.without_grantor.as_deref(), Some(without));
        assert_eq!(plan.settings, ["ALTER ROLE postgres SET work_mem TO '1GB'"]);
        assert_eq!(plan.missing, [("pg_read_all_data".to_owned(), "postgres".to_owned())]);
    }

    #[test]
    fn nothing_is_done_if_all_roles_exist() {
        let mut all = existing(&["postgres", "ana", "Group to", "pg_read_all_data"]);
        all.memberships.insert(("Group to".to_owned(), "ana".to_owned()));
        all.memberships.insert(("pg_read_all_data".to_owned(), "postgres".to_owned()));
        let setting =
            |role: &str, name: &str, value: &str| (role.to_owned(), name.to_owned(), value.to_owned());
        all.settings.insert(setting("postgres", "work_mem", "'1GB'"));
        all.settings.insert(setting("ana", "search_path", "'a', 'b'"));
        assert_eq!(plan(&split(DUMP).unwrap(), &all), RolePlan::default());
    }
}
