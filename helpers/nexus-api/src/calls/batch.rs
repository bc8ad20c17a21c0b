//! `POST /memory/batch`: stores several episodes, all or none.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::app::App;
use crate::calls::action;
use crate::calls::reply::Reply;
use crate::error::ApiError;
use crate::http::agent::Agent;
use crate::http::body::Read;
use crate::input::episode::NewEpisode;
use crate::input::fields::{Fields, missing};
use crate::input::json;
use crate::time;

/// The most episodes of one batch.
const MOST: usize = 100;

/// Stores the episodes.
pub(super) async fn batch(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    headers: HeaderMap,
    read: Read,
) -> Reply {
    let mut episodes = episodes(json::parse(&read.bytes)?, app.args.content)?;
    let key = action::key(&headers)?;
    let stored =
        action::store(&app, &agent, &mut episodes, key.as_deref(), "/memory/batch", &read.bytes).await?;
    let ids: Vec<String> = stored.ids.iter().map(ToString::to_string).collect();
    Ok(Json(json!({
        "success": true,
        "count": ids.len(),
        "episode_ids": ids,
        "timestamp": time::text(stored.at),
        "message": action::message(&stored, &episodes),
    })))
}

fn episodes(body: Value, longest: usize) -> Result<Vec<NewEpisode>, ApiError> {
    let actions = match Fields::of(body)?.take("actions") {
        Some(Value::Array(actions)) if (1..=MOST).contains(&actions.len()) => actions,
        Some(Value::Array(actions)) => {
            let message = format!("There must be 1 to {MOST}, not {}.", actions.len());
            return Err(ApiError::invalid("actions", message));
        }
        Some(_) => return Err(ApiError::invalid("actions", "It must be a list of actions.")),
        None => return Err(missing("actions")),
    };
    let one = |(place, action)| {
        NewEpisode::from_action(action, longest).map_err(|error| error.within(&format!("actions[{place}]")))
    };
    actions.into_iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_a_batch_names_the_episode_and_its_field() {
        let good = json!({"action_type": "note", "action_details": {}});
        let wrong = json!({"action_type": "note", "action_details": {}, "tags": ["a", 1]});
        let field = |actions: Value| episodes(json!({"actions": actions}), 100).unwrap_err().field.unwrap();
        assert_eq!(field(json!([good, wrong])), "actions[1].tags[1]");
        assert_eq!(field(json!([good, 5])), "actions[1].body");
        assert_eq!(field(json!([])), "actions");
        assert_eq!(episodes(json!({"actions": [good, good]}), 100).unwrap().len(), 2);
    }
}
