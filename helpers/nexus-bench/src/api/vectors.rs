//! Vectors of texts, by nexus-embed, and their version.

use nexus_core::embedding::client::{Client, DEFAULT_SOCKET};
use nexus_core::embedding::protocol::Kind;
use nexus_core::failure::{Exit, Failure, OrFail, Result};

use crate::api::data::DIMENSIONS;

/// The vectors of `texts`, which are 64 at most, and their version.
///
/// # Errors
/// Unavailable (69).
pub(crate) async fn of_texts(
    client: &mut Client,
    kind: Kind,
    texts: Vec<String>,
) -> Result<(Vec<Vec<f32>>, String)> {
    let doing = || format!("asking nexus-embed at {DEFAULT_SOCKET} for vectors");
    let vectors = client.embed(kind, texts).await.or_fail(Exit::Unavailable, doing)?;
    if vectors.dimensions != DIMENSIONS {
        return Err(Failure::new(Exit::Unavailable, doing())
            .because(format!("its vectors have {} numbers, not {DIMENSIONS}", vectors.dimensions)));
    }
    Ok((vectors.rows().map(<[f32]>::to_vec).collect(), vectors.version.clone()))
}
