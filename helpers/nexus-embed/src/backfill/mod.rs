//! Fills in missing vectors of episodes.
//!
//! The queue (compose/postgres/init/0004-embedding.sql) is the whole state. A run that is killed
//! leaves its remaining work in the queue, and nothing else. One short transaction stores the
//! vectors of a group, each only if its text has not changed. A trigger then removes the row from
//! the queue.

pub mod check;
mod store;

use std::path::PathBuf;
use std::time::Duration;

use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::stop::Stop;
use nexus_embed_client::client::{Client, EmbedError};
use nexus_embed_client::protocol::{Code, TextKind, Vectors};
use nexus_postgres::blocking::runtime;
use nexus_postgres::server::{Server, ServerSettings};
use sd_notify::NotifyState;
use serde::Serialize;

use store::{Store, Waiting};

/// The role that may write vectors, and the credential with its password.
const ROLE: &str = "nexus_embed";

/// The name of the sessions in pg_stat_activity.
const APPLICATION: &str = "nexus-embed";

/// The most bytes of texts in one request. Escaped as JSON they may be six times as long, which
/// still fits.
const GROUP: usize = 512 << 10;

/// Time limit for a group. A long text takes some seconds on a slow machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Attempts to reach a service that is busy or down. The pause doubles each time.
const TRIES: u32 = 5;

/// Attempts for a text. Then its row is `failed`, and a person must check it.
pub(crate) const MOST_ATTEMPTS: i32 = 5;

/// The addresses of PostgreSQL and of the service.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Directory of PostgreSQL's socket, or a host name.
    pub pg_host: String,
    /// The port of PostgreSQL.
    pub pg_port: u16,
    /// The database.
    pub database: String,
    /// Socket of the service.
    pub socket: PathBuf,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filled {
    /// Episodes that have their vector now.
    pub filled: u64,
    /// Texts that the service could not embed. A later run retries them, unless they have failed
    /// for good.
    pub not_done: u64,
    /// Episodes that wait for a later attempt.
    pub waiting: u64,
}

/// The result of one request for a group.
enum Attempt {
    Vectors(Vectors),
    /// The texts are, or may be, at fault.
    TextFault(String),
}

/// A run, with its connections.
struct Backfill {
    store: Store,
    client: Client,
    socket: PathBuf,
    stop: Stop,
    filled: Filled,
}

async fn open(endpoints: &Endpoints) -> Result<Store> {
    let settings = ServerSettings {
        host: endpoints.pg_host.clone(),
        port: endpoints.pg_port,
        user: ROLE.to_owned(),
        database: endpoints.database.clone(),
    };
    let server = Server::with_password(&settings, credentials::read("nexus_embed_password")?);
    Store::open(&server, APPLICATION).await
}

/// Fills in the vectors that are due. After an error, the rest stays in the queue.
///
/// # Errors
/// TryLater (75) if another run is in progress, no model is installed, the service is busy, or a
/// signal stops it; Unavailable (69) if PostgreSQL or the service does not answer.
pub fn run(endpoints: &Endpoints, stop: &Stop) -> Result<Filled> {
    runtime()?.block_on(async {
        let store = open(endpoints).await?;
        store.lock().await?;
        let client = Client::new(&endpoints.socket);
        let socket = endpoints.socket.clone();
        let mut backfill = Backfill { store, client, socket, stop: stop.clone(), filled: Filled::default() };
        backfill.all().await?;
        Ok(backfill.filled)
    })
}

impl Backfill {
    async fn all(&mut self) -> Result<()> {
        let due = self.store.due().await?;
        loop {
            self.check_stop()?;
            let waiting = self.store.next().await?;
            if waiting.is_empty() {
                break;
            }
            for group in groups(&waiting) {
                self.check_stop()?;
                self.group(group).await?;
                let Filled { filled, not_done, .. } = self.filled;
                report(&format!("{} of {} episodes", filled + not_done, due.max(filled + not_done)));
            }
        }
        self.filled.waiting = self.store.waiting().await?;
        Ok(())
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.is_set() {
            return Err(Failure::new(Exit::TryLater, "filling in vectors: stopped by a signal")
                .because(format!("{} are filled in", self.filled.filled))
                .advise("The next run continues"));
        }
        Ok(())
    }

    /// Embeds one group. If it fails, embeds its texts one by one, so that a bad text does not hold
    /// up the others.
    async fn group(&mut self, group: &[Waiting]) -> Result<()> {
        match self.ask(group).await? {
            Attempt::Vectors(vectors) => {
                self.store.fill(group, &vectors).await?;
                self.filled.filled += group.len() as u64;
            }
            Attempt::TextFault(why) if group.len() == 1 => {
                self.filled.not_done += 1;
                self.store.postpone(&group[0].episode, &why).await?;
            }
            Attempt::TextFault(_) => {
                for one in group {
                    self.check_stop()?;
                    // Boxed, because an async function cannot contain itself.
                    Box::pin(self.group(std::slice::from_ref(one))).await?;
                }
            }
        }
        Ok(())
    }

    async fn ask(&mut self, group: &[Waiting]) -> Result<Attempt> {
        let texts: Vec<String> = group.iter().map(|one| one.text.clone()).collect();
        let mut pause = Duration::from_secs(1);
        for _ in 0..TRIES {
            let reply =
                tokio::time::timeout(LIMIT, self.client.embed(TextKind::Passage, texts.clone())).await;
            let why = match reply {
                Ok(Ok(vectors)) => return Ok(Attempt::Vectors(vectors)),
                Ok(Err(EmbedError::Refused(refusal))) if refusal.code == Code::NoModel => {
                    return Err(Failure::new(Exit::TryLater, "filling in vectors").because(refusal.message));
                }
                Ok(Err(EmbedError::Refused(refusal))) if refusal.code == Code::Busy => refusal.message,
                Ok(Err(error)) => {
                    // If the service can embed another text, this one is at fault.
                    if self.is_well().await {
                        return Ok(Attempt::TextFault(error.to_string()));
                    }
                    error.to_string()
                }
                Err(_) => return Ok(Attempt::TextFault(format!("no answer within {} s", LIMIT.as_secs()))),
            };
            log::info!("{why}; retrying in {} s", pause.as_secs());
            self.wait(pause).await?;
            pause *= 2;
        }
        Err(Failure::new(Exit::Unavailable, format!("asking nexus-embed at {}", self.socket.display()))
            .because(format!("no answer in {TRIES} attempts"))
            .advise("See: systemctl status nexus-embed.socket nexus-embed. The next run continues"))
    }

    async fn is_well(&mut self) -> bool {
        let probe = self.client.embed(TextKind::Passage, vec!["memory".to_owned()]);
        matches!(tokio::time::timeout(LIMIT, probe).await, Ok(Ok(_)))
    }

    async fn wait(&self, pause: Duration) -> Result<()> {
        let end = tokio::time::Instant::now() + pause;
        while tokio::time::Instant::now() < end {
            self.check_stop()?;
            tokio::time::sleep(Duration::from_millis(250).min(pause)).await;
        }
        Ok(())
    }
}

/// Splits `waiting` into groups of at least one text each.
fn groups(waiting: &[Waiting]) -> Vec<&[Waiting]> {
    let mut groups = Vec::new();
    let mut rest = waiting;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|one| {
            bytes += one.text.len();
            bytes <= GROUP
        });
        let (group, after) = rest.split_at(fits.count().max(1));
        groups.push(group);
        rest = after;
    }
    groups
}

/// Sends the status to systemd, and extends the unit's time limit.
fn report(status: &str) {
    let more = u32::try_from(LIMIT.as_micros() * 2).unwrap_or(u32::MAX);
    let status = format!("filling in vectors: {status}");
    crate::service::notify(&[NotifyState::Status(&status), NotifyState::ExtendTimeoutUsec(more)]);
}
