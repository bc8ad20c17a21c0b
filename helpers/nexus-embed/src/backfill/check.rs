//! Counts the vectors of the current model and of others.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::printable;
use nexus_embed_client::client::{Client, EmbedError};
use nexus_embed_client::protocol::TextKind;
use nexus_postgres::blocking::runtime;
use serde::Serialize;

use super::{Endpoints, open};

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The version of the current model.
    pub version: String,
    /// Episodes with a vector of this version.
    pub current: u64,
    /// Vectors of other versions, which a search by meaning does not find.
    pub others: Vec<Other>,
    /// Episodes that wait for a vector.
    pub waiting: u64,
    /// Episodes for which all attempts failed.
    pub failed: u64,
    /// Episodes queued by this call.
    pub requeued: u64,
}

/// Vectors of another version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    /// The version; null if the row has none.
    pub version: Option<String>,
    /// The number of episodes.
    pub episodes: u64,
}

/// Counts vectors by version. With `requeue`, queues the episodes of other versions and those that
/// failed.
///
/// # Errors
/// Unavailable (69) if PostgreSQL or the service does not answer.
pub fn check(endpoints: &Endpoints, requeue: bool) -> Result<Check> {
    runtime()?.block_on(async {
        let mut client = Client::new(&endpoints.socket);
        let probe = client.embed(TextKind::Passage, vec!["memory".to_owned()]).await;
        let version = probe.map_err(|error| unanswered(endpoints, error))?.version;
        let store = open(endpoints).await?;
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

fn unanswered(endpoints: &Endpoints, error: EmbedError) -> Failure {
    Failure::new(Exit::Unavailable, format!("asking at {} for the current model", endpoints.socket.display()))
        .because(error)
        .advise("See: systemctl status nexus-embed.socket nexus-embed")
}

impl Check {
    /// Returns whether no episode needs a new vector.
    pub fn is_well(&self) -> bool {
        self.failed == 0 && (self.others.is_empty() || self.requeued > 0)
    }

    /// Formats the result for a person.
    pub fn to_text(&self) -> String {
        let mut text = format!("{:>10} {}, the current model\n", self.current, self.version);
        for other in &self.others {
            let version = other.version.as_deref().unwrap_or("unknown version");
            text.push_str(&format!("{:>10} {}\n", other.episodes, printable(version)));
        }
        text.push_str(&format!("{:>10} waiting for a vector, {} failed\n", self.waiting, self.failed));
        if self.requeued > 0 {
            text.push_str(&format!("{} queued: systemctl start nexus-embed-backfill\n", self.requeued));
        } else if !self.is_well() {
            text.push_str("To queue them: nexus-embed --check --requeue\n");
        }
        text
    }
}
