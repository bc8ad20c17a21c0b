//! Imports the export of this or another agent.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::input::episode::ExportedEpisode;
use crate::memory::error::DbError;
use crate::memory::insert::Prepared;
use crate::memory::pipeline::Step;
use crate::memory::pool::Database;

/// Returns no row if any agent has the id.
const INSERT: &str = r#"INSERT INTO nexus_memory.zep_episodic_memory
    (content, importance_score, tags, metadata, embedding, embedding_version, agent_id, "timestamp", created_at, episode_id)
    VALUES ($1, $2, $3, $4, $5, $6, current_setting('nexus.agent_id'), $7, $7, $8)
    ON CONFLICT (episode_id) DO NOTHING RETURNING episode_id"#;

/// Returns the ids that this agent has.
const OWN: &str = "SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE episode_id = ANY ($1)";

impl Database {
    /// Stores `episodes`, all or none, and returns how many are new. Skips those that the agent
    /// has. An episode whose id another agent has gets a new id, which is the same in every import.
    pub(crate) async fn import(&self, agent: &str, episodes: &[ExportedEpisode]) -> Result<usize, DbError> {
        let ids: Vec<Uuid> = episodes.iter().map(|one| one.id).collect();
        let new = self.insert_exported(agent, episodes, &ids).await?;
        if new.len() == episodes.len() {
            return Ok(new.len());
        }
        let own = self.rows(agent, OWN, vec![&ids]).await?;
        let own = own.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Uuid>, _>>()?;
        let others: Vec<ExportedEpisode> =
            episodes.iter().filter(|one| !own.contains(&one.id)).cloned().collect();
        if others.is_empty() {
            return Ok(new.len());
        }
        let ids: Vec<Uuid> = others.iter().map(|one| id_for(agent, one.id)).collect();
        Ok(new.len() + self.insert_exported(agent, &others, &ids).await?.len())
    }

    async fn insert_exported(
        &self,
        agent: &str,
        episodes: &[ExportedEpisode],
        ids: &[Uuid],
    ) -> Result<Vec<Uuid>, DbError> {
        let prepared: Vec<Prepared<'_>> =
            episodes.iter().zip(ids).map(|(one, id)| Prepared::of(&one.episode, *id)).collect();
        let steps: Vec<Step<'_>> = (prepared.iter().zip(episodes))
            .map(|(one, episode)| {
                let mut values = one.values();
                values.push(&episode.at);
                values.push(&one.id);
                Step::new(INSERT, values)
            })
            .collect();
        let rows = self.write(agent, &steps).await?;
        rows.iter().flatten().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

/// Returns the new id for an episode of `agent` whose id another agent has.
fn id_for(agent: &str, id: Uuid) -> Uuid {
    let digest = Sha256::new().chain_update(id.as_bytes()).chain_update(agent).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agent_gets_its_own_id_which_is_always_the_same() {
        let id = Uuid::from_u128(7);
        assert_eq!(id_for("a", id), id_for("a", id));
        assert_ne!(id_for("a", id), id_for("b", id));
    }
}
