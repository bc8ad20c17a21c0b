//! The address of the server and the role to connect as.

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
    /// Port, 1 to 65535; the name of the socket file contains it too
    #[arg(long = "pg-port", env = "NEXUS_PG_PORT", value_name = "PORT", default_value_t = 5432)]
    pub port: u16,
    /// Role of the jobs: superuser, or one with BYPASSRLS that may read every table
    #[arg(long = "pg-user", env = "NEXUS_PG_USER", value_name = "ROLE", default_value = "postgres")]
    pub user: String,
    /// Database that holds the memory
    #[arg(long = "pg-database", env = "NEXUS_PG_DATABASE", value_name = "NAME", default_value = "nexus")]
    pub database: String,
}

/// A server and its password.
#[derive(Clone, Debug)]
pub struct Server {
    /// The settings to reach it.
    pub settings: ServerSettings,
    /// The name of our sessions in pg_stat_activity.
    pub application: &'static str,
    password: SecretString,
}

impl Server {
    /// Reads the password from credential `postgres_password`.
    ///
    /// # Errors
    /// Those of [`credentials::read`].
    pub fn from_settings(settings: &ServerSettings) -> Result<Self> {
        Ok(Self::with_password(settings, credentials::read("postgres_password")?))
    }

    /// Returns the same server with sessions named `application`.
    #[must_use]
    pub fn named(self, application: &'static str) -> Self {
        Self { application, ..self }
    }

    /// Creates a server with a known password.
    pub fn with_password(settings: &ServerSettings, password: SecretString) -> Self {
        Self { settings: settings.clone(), application: "nexus", password }
    }

    /// Returns the password, for the two modules that log in.
    pub(crate) fn password(&self) -> &[u8] {
        self.password.expose_secret().as_bytes()
    }

    /// Returns the line of a password file for libpq's tools (libpq, "The Password File"). It is
    /// secret.
    pub fn passfile_line(&self) -> Zeroizing<Vec<u8>> {
        let password = self.password.expose_secret().replace('\\', "\\\\").replace(':', "\\:");
        Zeroizing::new(format!("*:*:*:*:{password}\n").into_bytes())
    }

    /// Returns the address for messages: the socket's path, or host and port.
    pub fn address(&self) -> String {
        let ServerSettings { host, port, .. } = &self.settings;
        if self.is_local() { format!("{host}/.s.PGSQL.{port}") } else { format!("{host}:{port}") }
    }

    /// Returns whether the address is a Unix socket.
    pub fn is_local(&self) -> bool {
        Path::new(&self.settings.host).is_absolute()
    }
}
