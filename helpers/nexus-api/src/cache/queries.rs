//! Caches vectors of queries, because people repeat them. The key has the agent's name, so that no
//! agent learns another's queries from response times, and a digest instead of the text.

use std::time::Duration;

use bytes::{Buf, BufMut};
use sha2::{Digest, Sha256};

use crate::cache::redis::Redis;
use crate::input::DIMENSIONS;
use crate::input::episode::Embedding;

/// How long a vector stays in Redis.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Returns the key of the vector of `query`.
pub(crate) fn key(agent: &str, query: &str) -> String {
    let digest = Sha256::new().chain_update(agent).chain_update([0]).chain_update(query).finalize();
    let digest = digest.iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("nexus-api:query:{agent}:{digest}")
}

/// Returns the vector under `key` if it has this version; those of another model are of no use.
pub(crate) async fn get(redis: &Redis, key: &str, version: &str) -> Option<Embedding> {
    let mut command = redis::cmd("GET");
    command.arg(key);
    let bytes: Option<Vec<u8>> = redis.ask(&command).await.ok()?;
    decode(&bytes?).filter(|embedding| embedding.version == version)
}

/// Stores `embedding` under `key`.
pub(crate) async fn store(redis: &Redis, key: &str, embedding: &Embedding) {
    let mut command = redis::cmd("SET");
    command.arg(key).arg(encode(embedding)).arg("EX").arg(LIFETIME.as_secs());
    // After an error, the next search asks nexus-embed again.
    let _stored = redis.ask::<()>(&command).await;
}

/// Encodes the numbers, then the version.
fn encode(embedding: &Embedding) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(DIMENSIONS * 4 + embedding.version.len());
    embedding.vector.iter().for_each(|number| bytes.put_f32_le(*number));
    bytes.put_slice(embedding.version.as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Embedding> {
    let (mut numbers, version) = bytes.split_at_checked(DIMENSIONS * 4)?;
    let vector: Vec<f32> = (0..DIMENSIONS).map(|_| numbers.get_f32_le()).collect();
    let is_whole = vector.iter().all(|number| number.is_finite());
    let version = std::str::from_utf8(version).ok().filter(|_| is_whole)?.to_owned();
    Some(Embedding { vector, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedding_is_decoded_as_it_was_encoded() {
        let embedding = Embedding { vector: vec![0.25; DIMENSIONS], version: "m@01234567".to_owned() };
        assert_eq!(decode(&encode(&embedding)), Some(embedding));
        assert_eq!(decode(b"short"), None);
        assert_eq!(decode(&[255; DIMENSIONS * 4]), None);
        assert_ne!(key("a", "b"), key("b", "b"));
    }
}
