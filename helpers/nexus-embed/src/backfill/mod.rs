//! Filling in the vectors that episodes lack.
//!
//! The queue (compose/postgres/init/0004-embedding.sql) is the whole state: a run that is killed leaves what it has not done
//! in it, and nothing else. Vectors of a group are stored in one short transaction, each only while its text is still the
//! one that was embedded; the trigger then takes the row out of the queue.

pub mod check;
mod store;

use std::path::PathBuf;
use std::time::Duration;

use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::stop::Stop;
use nexus_embed_client::client::{Client, EmbedError};
use nexus_embed_client::protocol::{Code, TextKind, Vectors};
use nexus_postgres::server::{Server, ServerSettings};
use sd_notify::NotifyState;
use serde::Serialize;

use store::{Store, Waiting};

/// The role that may write vectors, and the credential with its password.
const ROLE: &str = "nexus_embed";

/// What its sessions are called in pg_stat_activity.
const APPLICATION: &str = "nexus-embed";

/// Bytes of texts that are asked for at once: escaped as JSON they may be six times as long, which still fits a request.
const A_GROUP: usize = 512 << 10;

/// How long the service may take for a group: a long text takes some seconds on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often a service that is busy or gone is asked again, each time after twice the time.
const TRIES: u32 = 5;

/// A text's vector is tried for so often; then its row is `failed`, and a person's to look at.
pub const MOST_ATTEMPTS: i32 = 5;

/// Whom to ask, and where to store.
#[derive(Clone, Debug)]
pub struct Places {
    /// Directory of PostgreSQL's socket, or a host name.
    pub pg_host: String,
    /// Its port.
    pub pg_port: u16,
    /// The database.
    pub database: String,
    /// Socket of the service.
    pub socket: PathBuf,
}

/// What a run has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filled {
    /// Episodes that have their vector now.
    pub filled: u64,
    /// Texts that the service could not do; they are tried again later, or have failed for good.
    pub not_done: u64,
    /// Still waiting for a later try.
    pub waiting: u64,
}

/// How one text, or several, fared.
enum Asked {
    Vectors(Vectors),
    /// It is the texts' own fault, or may be.
    TheirFault(String),
}

/// A connection to each.
struct Backfill {
    store: Store,
    client: Client,
    socket: PathBuf,
    stop: Stop,
    filled: Filled,
}

async fn open(places: &Places) -> Result<Store> {
    let settings = ServerSettings {
        host: places.pg_host.clone(),
        port: places.pg_port,
        user: ROLE.to_owned(),
        database: places.database.clone(),
    };
    let server = Server::with_password(&settings, credentials::read("nexus_embed_password")?);
    Store::open(&server, APPLICATION).await
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_fail(Exit::Software, || "starting the runtime")
}

/// Fills in what is due.
///
/// # Errors
/// TryLater (75) when another run is at it, when no model is installed, when the service is busy, or when stopped;
/// Unavailable (69) when PostgreSQL or the service does not answer. What is not done stays in the queue.
pub fn run(places: &Places, stop: &Stop) -> Result<Filled> {
    runtime()?.block_on(async {
        let store = open(places).await?;
        store.lock().await?;
        let client = Client::new(&places.socket);
        let socket = places.socket.clone();
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
                say(&format!("{} of {} episodes", filled + not_done, due.max(filled + not_done)));
            }
        }
        self.filled.waiting = self.store.waiting().await?;
        Ok(())
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.is_set() {
            return Err(Failure::new(Exit::TryLater, "filling in vectors: stopped by a signal")
                .because(format!("{} are filled in", self.filled.filled))
                .advise("What is left waits for the next run"));
        }
        Ok(())
    }

    /// One group; where it cannot be done together, one by one, so that one bad text keeps no other waiting.
    async fn group(&mut self, group: &[Waiting]) -> Result<()> {
        match self.ask(group).await? {
            Asked::Vectors(vectors) => {
                self.store.fill(group, &vectors).await?;
                self.filled.filled += group.len() as u64;
            }
            Asked::TheirFault(why) if group.len() == 1 => {
                self.filled.not_done += 1;
                self.store.not_done(&group[0].episode, &why).await?;
            }
            Asked::TheirFault(_) => {
                for one in group {
                    self.check_stop()?;
                    // Boxed, because an asynchronous function cannot hold itself.
                    Box::pin(self.group(std::slice::from_ref(one))).await?;
                }
            }
        }
        Ok(())
    }

    async fn ask(&mut self, group: &[Waiting]) -> Result<Asked> {
        let texts: Vec<String> = group.iter().map(|one| one.text.clone()).collect();
        let mut pause = Duration::from_secs(1);
        for _ in 0..TRIES {
            let asked =
                tokio::time::timeout(PATIENCE, self.client.embed(TextKind::Passage, texts.clone())).await;
            let why = match asked {
                Ok(Ok(vectors)) => return Ok(Asked::Vectors(vectors)),
                Ok(Err(EmbedError::Refused(refusal))) if refusal.code == Code::NoModel => {
                    return Err(Failure::new(Exit::TryLater, "filling in vectors").because(refusal.message));
                }
                Ok(Err(EmbedError::Refused(refusal))) if refusal.code == Code::Busy => refusal.message,
                Ok(Err(error)) => {
                    // Killed by this text, or by something else? Whether it does another tells.
                    if self.is_well().await {
                        return Ok(Asked::TheirFault(error.to_string()));
                    }
                    error.to_string()
                }
                Err(_) => return Ok(Asked::TheirFault(format!("no answer in {} s", PATIENCE.as_secs()))),
            };
            log::info!("{why}; trying again in {} s", pause.as_secs());
            self.wait(pause).await?;
            pause *= 2;
        }
        Err(Failure::new(Exit::Unavailable, format!("asking nexus-embed at {}", self.socket.display()))
            .because(format!("it did not answer {TRIES} times"))
            .advise("systemctl status nexus-embed.socket nexus-embed; what is left waits for the next run"))
    }

    async fn is_well(&mut self) -> bool {
        let probe = self.client.embed(TextKind::Passage, vec!["memory".to_owned()]);
        matches!(tokio::time::timeout(PATIENCE, probe).await, Ok(Ok(_)))
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

/// Parts of some texts together, each with at least one.
fn groups(waiting: &[Waiting]) -> Vec<&[Waiting]> {
    let mut groups = Vec::new();
    let mut rest = waiting;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|one| {
            bytes += one.text.len();
            bytes <= A_GROUP
        });
        let (group, after) = rest.split_at(fits.count().max(1));
        groups.push(group);
        rest = after;
    }
    groups
}

/// To systemd; and it is given more time, as the work goes on.
fn say(status: &str) {
    let more = u32::try_from(PATIENCE.as_micros() * 2).unwrap_or(u32::MAX);
    let status = format!("filling in vectors: {status}");
    crate::service::notify(&[NotifyState::Status(&status), NotifyState::ExtendTimeoutUsec(more)]);
}
