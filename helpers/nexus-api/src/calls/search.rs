//! `POST /memory/search`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::cache::queries;
use crate::calls::reply::Reply;
use crate::error::ApiError;
use crate::http::agent::Agent;
use crate::http::body::Read;
use crate::input::episode::Embedding;
use crate::input::search::{Mode, Search};
use crate::{time, vectors};

/// Searches by meaning, by words, or by both. If it could not search by meaning, `note` says why.
pub(super) async fn search(State(app): State<Arc<App>>, Agent(agent): Agent, body: Read) -> Reply {
    let search = Search::from_body(body.into_json()?)?;
    let (embedding, note) = match search.mode {
        Mode::Text => (None, None),
        _ => match embedding(&app, &agent, &search).await {
            Ok(embedding) => (Some(embedding), None),
            Err(why) if search.mode == Mode::Vector => return Err(no_vector(why)),
            Err(vectors::NoVector::NoModel) => {
                (None, Some("There is no embedding model, so this was found by words alone."))
            }
            Err(vectors::NoVector::NotNow) => (
                None,
                Some("The embedding service did not answer in time, so this was found by words alone."),
            ),
        },
    };
    let words = search.mode != Mode::Vector && !search.query.trim().is_empty();
    let found = app.database.search(&agent, &search, embedding.as_ref(), words).await?;
    let results: Vec<Value> =
        found.iter().map(|(episode, similarity)| episode.json_with_similarity(*similarity)).collect();
    let mut reply = json!({
        "success": true,
        "query": search.query,
        "count": results.len(),
        "results": results,
        "timestamp": time::now(),
    });
    if let (Some(note), Some(members)) = (note, reply.as_object_mut()) {
        members.insert("note".to_owned(), note.into());
    }
    Ok(Json(reply))
}

/// Returns the vector of the query: from the request, the cache, or nexus-embed.
async fn embedding(app: &App, agent: &str, search: &Search) -> Result<Embedding, vectors::NoVector> {
    if let Some(given) = &search.embedding {
        return Ok(given.clone());
    }
    let key = queries::key(agent, &search.query);
    // Only after nexus-embed has replied once, because the version of its vectors is unknown
    // before.
    if let Some(version) = app.vectors.version()
        && let Some(embedding) = queries::get(&app.redis, &key, &version).await
    {
        return Ok(embedding);
    }
    let embedding = app.vectors.of_query(&search.query, app.query_time()).await?;
    queries::store(&app.redis, &key, &embedding).await;
    Ok(embedding)
}

fn no_vector(why: vectors::NoVector) -> ApiError {
    match why {
        vectors::NoVector::NoModel => ApiError {
            field: Some("mode".to_owned()),
            ..ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "no_embedding_model",
                "There is no embedding model: give an embedding, or search with mode hybrid or text.",
            )
        },
        vectors::NoVector::NotNow => ApiError::unavailable(
            "embedding_unavailable",
            "The embedding service did not answer in time; try again, or search with mode hybrid or text.",
        ),
    }
}
