//! An episode to store: parsed from an action, or from a line of an export.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::ApiError;
use crate::input::fields::{Fields, text};
use crate::input::{LONGEST_NAME, Result, json};

/// The version of a vector that a program sends without one.
pub(crate) const GIVEN: &str = "given";

/// The longest `embedding_version`: the column is a `varchar(50)`.
pub const LONGEST_VERSION: usize = 50;

/// A vector and its version.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// 384 numbers.
    pub vector: Vec<f32>,
    /// Only vectors of the same version can be compared.
    pub version: String,
}

/// An episode to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEpisode {
    /// The text, never empty.
    pub content: String,
    /// A number from 0 to 1.
    pub importance: f64,
    /// The tags, without duplicates.
    pub tags: Vec<String>,
    /// The type under `action_type`, and the rest of the action.
    pub metadata: Value,
    /// The vector, if the program sent one.
    pub embedding: Option<Embedding>,
}

/// A line of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedEpisode {
    /// The id of the episode.
    pub id: Uuid,
    /// The time at which it happened.
    pub at: Timestamp,
    /// All other fields.
    pub episode: NewEpisode,
}

impl NewEpisode {
    /// Parses the body of `POST /memory/action`. The text may have `longest` bytes.
    ///
    /// # Errors
    /// 422 if a field is invalid.
    pub fn from_action(action: Value, longest: usize) -> Result<Self> {
        let mut fields = Fields::of(action)?;
        let kind = fields.needed_text("action_type", LONGEST_NAME)?;
        let mut details = fields.object("action_details")?.unwrap_or_default();
        let context = fields.object("context_state")?;
        let tags = fields.tags("tags")?.unwrap_or_default();
        let embedding = embedding(&mut fields)?;
        let importance = importance(&details)?;
        let text = content(&mut details, &kind, longest)?;
        let mut metadata = Map::new();
        metadata.insert("action_type".to_owned(), kind.into());
        // Without the content, which has its own column.
        metadata.insert("action_details".to_owned(), details.into());
        if let Some(context) = context {
            metadata.insert("context_state".to_owned(), context.into());
        }
        Ok(Self { content: text, importance, tags, metadata: metadata.into(), embedding })
    }
}

/// Takes the text out of `details`. Without one, the other details are the text, else `kind`.
fn content(details: &mut Map<String, Value>, kind: &str, longest: usize) -> Result<String> {
    let given = match details.remove("content") {
        None | Some(Value::Null) => None,
        Some(value) => Some(text("action_details.content", value, longest)?).filter(|text| !text.is_empty()),
    };
    let content = match given {
        Some(given) => given,
        None if details.is_empty() => kind.to_owned(),
        None => Value::Object(details.clone()).to_string(),
    };
    if content.len() > longest {
        return Err(ApiError::invalid(
            "action_details.content",
            format!("It may have {longest} bytes at most."),
        ));
    }
    Ok(content)
}

fn importance(details: &Map<String, Value>) -> Result<f64> {
    let Some(value) = details.get("importance_score").filter(|value| !value.is_null()) else {
        return Ok(0.5);
    };
    value.as_f64().filter(|score| (0.0..=1.0).contains(score)).ok_or_else(|| {
        ApiError::invalid("action_details.importance_score", "It must be a number from 0 to 1.")
    })
}

/// Takes the vector and its version out of `fields`.
///
/// # Errors
/// 422 if either is invalid.
pub fn embedding(fields: &mut Fields) -> Result<Option<Embedding>> {
    let version = fields.text("embedding_version", LONGEST_VERSION)?.filter(|version| !version.is_empty());
    let vector = fields.vector("embedding")?;
    Ok(vector.map(|vector| Embedding { vector, version: version.unwrap_or_else(|| GIVEN.to_owned()) }))
}

impl ExportedEpisode {
    /// Parses one line. The text may have `longest` bytes.
    ///
    /// # Errors
    /// 400 if it is not JSON, 422 if a field is invalid.
    pub fn parse(line: &[u8], longest: usize) -> Result<Self> {
        let mut fields = Fields::of(json::parse_exported(line)?)?;
        let id = fields.needed_text("episode_id", LONGEST_NAME)?;
        let id = Uuid::try_parse(&id).map_err(|_| ApiError::invalid("episode_id", "It must be a UUID."))?;
        let at = fields.needed_moment("created_at")?;
        let content = fields.needed_text("content", longest)?;
        if content.len() > longest {
            return Err(ApiError::invalid("content", format!("It may have {longest} bytes at most.")));
        }
        let importance = fields.number("importance_score", 0.0..=1.0)?.unwrap_or(0.5);
        let tags = fields.tags("tags")?.unwrap_or_default();
        let metadata = fields.object("metadata")?.map_or_else(|| json!({}), Value::Object);
        let embedding = embedding(&mut fields)?;
        Ok(Self { id, at, episode: NewEpisode { content, importance, tags, metadata, embedding } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 1 << 20;

    fn action(body: Value) -> Result<NewEpisode> {
        NewEpisode::from_action(body, LONGEST)
    }

    fn refused(body: Value) -> String {
        action(body).unwrap_err().field.unwrap()
    }

    #[test]
    fn the_content_defaults_to_the_details_and_then_to_the_type() {
        let parsed =
            |details: Value| action(json!({"action_type": "note", "action_details": details})).unwrap();
        let episode = parsed(json!({"content": "hello 🧠", "importance_score": 1, "more": 2}));
        assert_eq!((episode.content.as_str(), episode.importance), ("hello 🧠", 1.0));
        assert_eq!(
            episode.metadata,
            json!({"action_type": "note", "action_details": {"importance_score": 1, "more": 2}})
        );
        assert_eq!(parsed(json!({"more": 2})).content, r#"{"more":2}"#);
        assert_eq!(parsed(json!({"content": null})).content, "note");
        assert_eq!(parsed(json!({"content": ""})).content, "note");
        assert_eq!(parsed(Value::Null).content, "note");
        assert_eq!(action(json!({"action_type": "note"})).unwrap().content, "note");
    }

    #[test]
    fn an_error_names_its_field() {
        let with = |name: &str, value: Value| {
            let mut body = json!({"action_type": "note", "action_details": {"content": "x"}});
            body[name] = value;
            body
        };
        let mut numbers = vec![json!(0.1); 384];
        numbers[5] = json!(1e39);
        for (body, field) in [
            (json!([]), "body"),
            (json!({}), "action_type"),
            (json!({"action_type": ""}), "action_type"),
            (json!({"action_type": "a\0b"}), "action_type"),
            (with("action_details", json!("x")), "action_details"),
            (with("action_details", json!({"content": 1})), "action_details.content"),
            (with("action_details", json!({"content": "a\0"})), "action_details.content"),
            (with("action_details", json!({"a": [{"b": "\0"}]})), "action_details.a[0].b"),
            (
                with("action_details", json!({"content": "é".repeat(LONGEST / 2 + 1)})),
                "action_details.content",
            ),
            (with("action_details", json!({"importance_score": 1.1})), "action_details.importance_score"),
            (with("action_details", json!({"importance_score": "1"})), "action_details.importance_score"),
            (with("context_state", json!([])), "context_state"),
            (with("tags", json!("x")), "tags"),
            (with("tags", json!(["a", 1])), "tags[1]"),
            (with("tags", json!(["a", ""])), "tags[1]"),
            (with("embedding", json!([1, 2])), "embedding"),
            (with("embedding", json!(vec![0.0; 384])), "embedding"),
            (with("embedding", json!(numbers)), "embedding[5]"),
            (with("embedding_version", json!("x".repeat(51))), "embedding_version"),
        ] {
            assert_eq!(refused(body), field);
        }
        let longest = json!({"action_type": "note", "action_details": {"content": "x".repeat(LONGEST)}});
        assert_eq!(action(longest).unwrap().content.len(), LONGEST);
    }

    #[test]
    fn a_vector_has_a_version() {
        let body = json!({"action_type": "note", "action_details": {}, "embedding": vec![0.5; 384]});
        assert_eq!(action(body).unwrap().embedding.unwrap().version, GIVEN);
    }
}
