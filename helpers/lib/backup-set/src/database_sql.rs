//! Statements that create a database with the properties of the backed-up one.

use nexus_postgres::quote::{identifier, literal};

use crate::manifest::{DatabaseProperties, DatabaseSetting, Grant};

/// Settings whose stored value is a list of quoted names (`GUC_LIST_QUOTE`; pg_dump's
/// `variable_is_guc_list_quote`).
const LISTS_OF_NAMES: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

impl DatabaseProperties {
    /// Returns `CREATE DATABASE` for an empty database `name` with the same encoding and locale.
    pub fn create_statement(&self, name: &str) -> String {
        let mut sql = format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
            identifier(name),
            literal(&self.encoding),
            literal(&self.collate),
            literal(&self.ctype),
        );
        match (self.locale_provider.as_str(), &self.locale) {
            ("i", Some(locale)) => {
                sql.push_str(&format!(" LOCALE_PROVIDER icu ICU_LOCALE {}", literal(locale)));
                if let Some(rules) = &self.icu_rules {
                    sql.push_str(&format!(" ICU_RULES {}", literal(rules)));
                }
            }
            ("b", Some(locale)) => {
                sql.push_str(&format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}", literal(locale)));
            }
            _ => sql.push_str(" LOCALE_PROVIDER libc"),
        }
        sql
    }

    /// Returns the statements that set the owner, comment, connection limit, settings and
    /// privileges of database `name`, in order.
    pub fn finishing_statements(&self, name: &str) -> Vec<String> {
        let database = identifier(name);
        let mut statements = vec![format!("ALTER DATABASE {database} OWNER TO {}", identifier(&self.owner))];
        if let Some(comment) = &self.comment {
            statements.push(format!("COMMENT ON DATABASE {database} IS {}", literal(comment)));
        }
        if self.connection_limit >= 0 {
            statements.push(format!("ALTER DATABASE {database} CONNECTION LIMIT {}", self.connection_limit));
        }
        statements.extend(self.settings.iter().map(|setting| setting.statement(&database)));
        // Starts from no privileges, so that PUBLIC does not regain a revoked one.
        statements.push(format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"));
        statements.extend(self.grants.iter().map(|grant| grant.statement(&database)));
        statements
    }
}

impl DatabaseProperties {
    /// Returns the search_paths of the database's sessions in the syntax of SET: first that for all
    /// roles, last the server's default.
    pub fn search_paths(&self) -> Vec<String> {
        let mut settings: Vec<_> = self.settings.iter().filter(|s| s.name == "search_path").collect();
        settings.sort_by_key(|setting| setting.role.is_some());
        let mut paths = Vec::new();
        for path in settings.iter().map(|s| s.value.as_str()).chain(["\"$user\", public"]) {
            let path = list_of_literals(path);
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }
}

impl DatabaseSetting {
    fn statement(&self, database: &str) -> String {
        // The setting of an extension contains a dot: each part is a separate name.
        let name: Vec<_> = self.name.split('.').map(identifier).collect();
        let value = setting_value(&self.name, &self.value);
        let target = match &self.role {
            Some(role) => format!("ALTER ROLE {} IN DATABASE {database}", identifier(role)),
            None => format!("ALTER DATABASE {database}"),
        };
        format!("{target} SET {} TO {value}", name.join("."))
    }
}

/// Returns a stored value in the syntax of `ALTER … SET … TO`.
pub fn setting_value(name: &str, stored: &str) -> String {
    let is_list = LISTS_OF_NAMES.contains(&name.to_ascii_lowercase().as_str());
    if is_list { list_of_literals(stored) } else { literal(stored) }
}

/// Returns the names of a stored list as literals. A name may be empty (`SET search_path = ''`),
/// but an identifier may not.
pub fn list_of_literals(stored: &str) -> String {
    let mut names = vec![String::new()];
    let mut inside_quotes = false;
    let mut characters = stored.chars().peekable();
    while let (Some(character), Some(name)) = (characters.next(), names.last_mut()) {
        match character {
            '"' if inside_quotes && characters.next_if_eq(&'"').is_some() => name.push('"'),
            '"' => inside_quotes = !inside_quotes,
            ',' if !inside_quotes => names.push(String::new()),
            ' ' if !inside_quotes => {}
            other => name.push(other),
        }
    }
    names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ")
}

impl Grant {
    fn statement(&self, database: &str) -> String {
        let to = self.role.as_deref().map_or_else(|| "PUBLIC".to_owned(), identifier);
        let option = if self.grantable { " WITH GRANT OPTION" } else { "" };
        // The catalog contains CONNECT, CREATE and TEMPORARY.
        let privilege: String = self.privilege.chars().filter(char::is_ascii_uppercase).collect();
        format!("GRANT {privilege} ON DATABASE {database} TO {to}{option}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(name: &str, value: &str, role: Option<&str>) -> DatabaseSetting {
        DatabaseSetting { role: role.map(str::to_owned), name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_list_of_names_is_parsed() {
        let path = setting("search_path", "\"$user\", public", None);
        assert_eq!(path.statement("\"d\""), "ALTER DATABASE \"d\" SET \"search_path\" TO '$user', 'public'");
        assert_eq!(list_of_literals("\"a, \"\"b\"\" \", c"), "'a, \"b\" ', 'c'");
        assert_eq!((list_of_literals(""), list_of_literals("\"\"")), ("''".to_owned(), "''".to_owned()));
    }

    #[test]
    fn the_search_paths_are_the_databases_its_roles_and_the_default() {
        let mut properties = properties();
        properties.settings = vec![
            setting("search_path", "mine", Some("r")),
            setting("work_mem", "1MB", None),
            setting("search_path", "app, \"Ünï\"", None),
            setting("search_path", "mine", Some("s")),
        ];
        assert_eq!(properties.search_paths(), ["'app', 'Ünï'", "'mine'", "'$user', 'public'"]);
    }

    #[test]
    fn a_roles_own_setting_is_for_that_role_only() {
        assert_eq!(
            setting("nexus.agent_id", "it's", Some("nexus_app")).statement("\"d\""),
            "ALTER ROLE \"nexus_app\" IN DATABASE \"d\" SET \"nexus\".\"agent_id\" TO 'it''s'"
        );
    }

    fn properties() -> DatabaseProperties {
        DatabaseProperties {
            encoding: "UTF8".into(),
            locale_provider: "b".into(),
            collate: "C".into(),
            ctype: "C".into(),
            locale: Some("C.UTF-8".into()),
            icu_rules: None,
            owner: "postgres".into(),
            comment: None,
            connection_limit: -1,
            settings: vec![],
            tablespaces: None,
            grants: vec![],
        }
    }

    #[test]
    fn the_database_is_created_with_its_own_locale() {
        assert_eq!(
            properties().create_statement("a\"b"),
            "CREATE DATABASE \"a\"\"b\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' \
             LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
        );
    }
}
