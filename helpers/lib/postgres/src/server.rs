//! Where the server is and as whom to connect.

use std::path::Path;

use clap::Args;
use nexus_cli::credentials;
use nexus_cli::failure::Result;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// Settings to reach PostgreSQL, for the jobs.
#[derive(Args, Clone, Debug)]
pub struct ServerSettings {
    /// Directory of PostgreSQL's socket, or a host name
    #[arg(
        long = "pg-host",
        env = "NEXUS_PG_HOST",
        value_name = "DIRECTORY",
        default_value = "/run/nexus/postgres"
    )]
    pub host: String,
    /// Port (part of the socket's name too)
    #[arg(long = "pg-port", env = "NEXUS_PG_PORT", value_name = "PORT", default_value_t = 5432)]
    pub port: u16,
    /// Role of the jobs: superuser, or one with BYPASSRLS that may read every table
    #[arg(long = "pg-user", env = "NEXUS_PG_USER", value_name = "ROLE", default_value = "postgres")]
    pub user: String,
    /// Database that holds the memory
    #[arg(long = "pg-database", env = "NEXUS_PG_DATABASE", value_name = "NAME", default_value = "nexus")]
    pub database: String,
}

/// A server and the password for it.
#[derive(Clone, Debug)]
pub struct Server {
    /// How to reach it.
    pub settings: ServerSettings,
    /// What our sessions are called in pg_stat_activity.
    pub application: &'static str,
    password: SecretString,
}

impl Server {
    /// Reads the password from credential `postgres_password`.
    ///
    /// # Errors
    /// As [`credentials::read`].
    pub fn from_settings(settings: &ServerSettings) -> Result<Self> {
        Ok(Self::with_password(settings, credentials::read("postgres_password")?))
    }

    /// The same with sessions called `application`.
    #[must_use]
    pub fn named(self, application: &'static str) -> Self {
        Self { application, ..self }
    }

    /// A server whose password is known already.
    pub fn with_password(settings: &ServerSettings, password: SecretString) -> Self {
        Self { settings: settings.clone(), application: "nexus", password }
    }

    /// The password, for the two modules that log in.
    pub(crate) fn password(&self) -> &[u8] {
        self.password.expose_secret().as_bytes()
    }

    /// The one line of a password file that lets libpq's tools in (libpq, "The Password File"). A secret.
    pub fn passfile_line(&self) -> Zeroizing<Vec<u8>> {
        let password = self.password.expose_secret().replace('\\', "\\\\").replace(':', "\\:");
        Zeroizing::new(format!("*:*:*:*:{password}\n").into_bytes())
    }

    /// Where the server is, for messages: the socket's path, or host and port.
    pub fn address(&self) -> String {
        let ServerSettings { host, port, .. } = &self.settings;
        if self.is_local() { format!("{host}/.s.PGSQL.{port}") } else { format!("{host}:{port}") }
    }

    /// Whether it is reached by a Unix socket.
    pub fn is_local(&self) -> bool {
        Path::new(&self.settings.host).is_absolute()
    }
}
