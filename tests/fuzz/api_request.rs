//! The API refuses any bytes of a client, and names the field, or parses a request that PostgreSQL can store and search.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_api::input::episode::{Embedding, ExportedEpisode, NewEpisode};
use nexus_api::input::search::Search;
use nexus_api::input::temporal::{Period, Temporal};
use nexus_api::input::{DIMENSIONS, MOST_LISTED, MOST_TAGS, fields, json};
use nexus_api::error::ApiError;
use serde_json::Value;

const LONGEST: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(line) = ExportedEpisode::parse(bytes, LONGEST).map_err(checked) {
        episode(&line.episode);
    }
    let Ok(value) = json::parse(bytes).map_err(checked) else { return };
    if let Ok(new) = NewEpisode::from_action(value.clone(), LONGEST).map_err(checked) {
        episode(&new);
    }
    if let Ok(search) = Search::from_body(value.clone()).map_err(checked) {
        assert!((1..=MOST_LISTED).contains(&search.limit) && (0.0..=1.0).contains(&search.min_similarity));
        assert!(!search.query.contains('\0'));
        tags(&search.filters.tags);
        search.embedding.as_ref().map(embedding);
    }
    let _either = Temporal::from_range(value.clone()).map_err(checked);
    let _either = Temporal::from_moment(value.clone(), Period::After).map_err(checked);
    if let Ok(list) = fields::tags(value).map_err(checked) {
        tags(&list);
    }
});

/// A refusal is one short line.
fn checked(error: ApiError) {
    assert!(error.status.is_client_error());
    assert!(!error.message.is_empty() && error.message.len() < 500 && !error.message.contains('\n'));
    assert!(!error.body().to_string().contains('\0'));
}

fn episode(episode: &NewEpisode) {
    assert!(!episode.content.is_empty() && episode.content.len() <= LONGEST && !episode.content.contains('\0'));
    assert!((0.0..=1.0).contains(&episode.importance));
    tags(&episode.tags);
    storable(&episode.metadata);
    episode.embedding.as_ref().map(embedding);
}

fn tags(tags: &[String]) {
    assert!(tags.len() <= MOST_TAGS && tags.iter().all(|tag| !tag.is_empty() && !tag.contains('\0')));
}

fn embedding(embedding: &Embedding) {
    assert!(embedding.vector.len() == DIMENSIONS && embedding.vector.iter().all(|number| number.is_finite()));
    assert!(embedding.vector.iter().any(|number| *number != 0.0));
    assert!(!embedding.version.is_empty() && embedding.version.chars().count() <= 50);
}

fn storable(value: &Value) {
    match value {
        Value::String(text) => assert!(!text.contains('\0')),
        Value::Array(values) => values.iter().for_each(storable),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            assert!(!name.contains('\0'));
            storable(value);
        }),
        _ => {}
    }
}
