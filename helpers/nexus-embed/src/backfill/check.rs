//! Which vectors are of the model that is used now, and which are not.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::printable;
use nexus_embed_client::client::{Client, EmbedError};
use nexus_embed_client::protocol::TextKind;
use serde::Serialize;

use super::{Places, open, runtime};

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Version of the model that is used now.
    pub version: String,
    /// Episodes with a vector of it.
    pub current: u64,
    /// Of other versions: search does not find them by meaning.
    pub others: Vec<Other>,
    /// Episodes that wait for a vector.
    pub waiting: u64,
    /// Episodes whose vector was tried for often enough.
    pub failed: u64,
    /// Episodes that were queued by this call.
    pub requeued: u64,
}

/// Vectors of another version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    /// Which; null where the row does not say.
    pub version: Option<String>,
    /// How many episodes.
    pub episodes: u64,
}

/// Looks; with `requeue`, queues what is of another version or has failed.
///
/// # Errors
/// Unavailable (69) when PostgreSQL or the service does not answer.
pub fn check(places: &Places, requeue: bool) -> Result<Check> {
    runtime()?.block_on(async {
        let mut client = Client::new(&places.socket);
        let probe = client.embed(TextKind::Passage, vec!["memory".to_owned()]).await;
        let version = probe.map_err(|error| unanswered(places, error))?.version;
        let store = open(places).await?;
        let requeued = if requeue { store.requeue(&version).await? } else { 0 };
        let (current, others): (Vec<_>, Vec<_>) =
            store.versions().await?.into_iter().partition(|(name, _)| name.as_ref() == Some(&version));
        let states = store.states().await?;
        let of = |state: &str| states.iter().filter(|(name, _)| name == state).map(|(_, count)| count).sum();
        Ok(Check {
            current: current.iter().map(|(_, count)| count).sum(),
            others: others.into_iter().map(|(version, episodes)| Other { version, episodes }).collect(),
            waiting: of("waiting"),
            failed: of("failed"),
            requeued,
            version,
        })
    })
}

fn unanswered(places: &Places, error: EmbedError) -> Failure {
    Failure::new(Exit::Unavailable, format!("asking at {} which model is used", places.socket.display()))
        .because(error)
        .advise("systemctl status nexus-embed.socket nexus-embed")
}

impl Check {
    /// Whether there is nothing to do.
    pub fn is_well(&self) -> bool {
        self.failed == 0 && (self.others.is_empty() || self.requeued > 0)
    }

    /// For a person.
    pub fn to_text(&self) -> String {
        let mut text = format!("{:>10} {}, the model that is used\n", self.current, self.version);
        for other in &self.others {
            let version = other.version.as_deref().unwrap_or("a version that the row does not say");
            text.push_str(&format!("{:>10} {}\n", other.episodes, printable(version)));
        }
        text.push_str(&format!("{:>10} waiting for a vector, {} failed\n", self.waiting, self.failed));
        if self.requeued > 0 {
            text.push_str(&format!("{} queued: systemctl start nexus-embed-backfill\n", self.requeued));
        } else if !self.is_well() {
            text.push_str("To have them embedded: nexus-embed --check --requeue\n");
        }
        text
    }
}
