//! Takes the members out of a JSON object one by one. Ignores unknown ones, because programs may
//! send others.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::input::{DIMENSIONS, LONGEST_NAME, MOST_TAGS, Result};
use crate::time;

/// The largest number of a vector. It keeps the length of the vector finite; embeddings have a
/// length of about 1.
const MOST_OF_A_VECTOR: f64 = 1_000_000.0;

/// The members of an object that have not been taken.
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Returns the members of `value`.
    ///
    /// # Errors
    /// 422 if it is not an object.
    pub fn of(value: Value) -> Result<Self> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            other => Err(ApiError::invalid("body", format!("It must be an object, not {}.", kind(&other)))),
        }
    }

    /// Takes member `name`; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a text of at most `longest` characters.
    ///
    /// # Errors
    /// 422 if it is invalid.
    pub fn text(&mut self, name: &str, longest: usize) -> Result<Option<String>> {
        self.take(name).map(|value| text(name, value, longest)).transpose()
    }

    /// Takes a required text of 1 to `longest` characters.
    ///
    /// # Errors
    /// 422 if it is missing or invalid.
    pub(crate) fn needed_text(&mut self, name: &str, longest: usize) -> Result<String> {
        match self.text(name, longest)? {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(ApiError::invalid(name, "It must not be empty.")),
            None => Err(missing(name)),
        }
    }

    /// Takes a whole number in `range`.
    ///
    /// # Errors
    /// 422 if it is invalid.
    pub fn whole(&mut self, name: &str, range: std::ops::RangeInclusive<i64>) -> Result<Option<i64>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        // 10.0 is a whole number too (JSON Schema, "Numeric Types").
        let number = value.as_i64().or_else(|| {
            let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e9)?;
            format!("{number:.0}").parse().ok()
        });
        match number {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (least, most) = range.into_inner();
                Err(ApiError::invalid(name, format!("It must be a whole number from {least} to {most}.")))
            }
        }
    }

    /// Takes a number in `range`.
    ///
    /// # Errors
    /// 422 if it is invalid.
    pub fn number(&mut self, name: &str, range: std::ops::RangeInclusive<f64>) -> Result<Option<f64>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (least, most) = range.into_inner();
                Err(ApiError::invalid(name, format!("It must be a number from {least} to {most}.")))
            }
        }
    }

    /// Takes a time.
    ///
    /// # Errors
    /// 422 if it is invalid.
    pub fn moment(&mut self, name: &str) -> Result<Option<Timestamp>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let moment = value.as_str().and_then(time::parse);
        moment.map(Some).ok_or_else(|| {
            ApiError::invalid(
                name,
                "It must be a time of RFC 3339, such as 2026-11-25T12:00:00Z, of the years 0 to 9999.",
            )
        })
    }

    /// Takes a required time.
    ///
    /// # Errors
    /// 422 if it is missing or invalid.
    pub(crate) fn needed_moment(&mut self, name: &str) -> Result<Timestamp> {
        self.moment(name)?.ok_or_else(|| missing(name))
    }

    /// Takes tags, in their order and without duplicates.
    ///
    /// # Errors
    /// 422 if one is invalid.
    pub fn tags(&mut self, name: &str) -> Result<Option<Vec<String>>> {
        self.take(name).map(|value| tags(value).map_err(|error| error.within(name))).transpose()
    }

    /// Takes a vector.
    ///
    /// # Errors
    /// 422 if it is invalid.
    pub fn vector(&mut self, name: &str) -> Result<Option<Vec<f32>>> {
        self.take(name).map(|value| vector(name, &value)).transpose()
    }

    /// Takes an object.
    ///
    /// # Errors
    /// 422 if it is invalid.
    pub fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(members)) => {
                storable(name, &members)?;
                Ok(Some(members))
            }
            Some(other) => {
                Err(ApiError::invalid(name, format!("It must be an object, not {}.", kind(&other))))
            }
        }
    }
}

/// 422: `name` is missing.
pub fn missing(name: &str) -> ApiError {
    ApiError::invalid(name, "It is missing.")
}

/// Parses a list of tags.
///
/// # Errors
/// 422, with the tag's index, `[3]`, as the field.
pub fn tags(value: Value) -> Result<Vec<String>> {
    let Value::Array(values) = value else {
        return Err(ApiError { field: None, ..ApiError::invalid("", "It must be a list of texts.") });
    };
    if values.len() > MOST_TAGS {
        let message = format!("There may be {MOST_TAGS} at most, not {}.", values.len());
        return Err(ApiError { field: None, ..ApiError::invalid("", message) });
    }
    let mut tags: Vec<String> = Vec::with_capacity(values.len());
    for (place, value) in values.into_iter().enumerate() {
        let name = format!("[{place}]");
        let tag = text(&name, value, LONGEST_NAME)?;
        if tag.is_empty() {
            return Err(ApiError::invalid(name, "It must not be empty."));
        }
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

/// Parses a text of at most `longest` characters.
///
/// # Errors
/// 422 if it is invalid.
pub fn text(name: &str, value: Value, longest: usize) -> Result<String> {
    let Value::String(text) = value else {
        return Err(ApiError::invalid(name, format!("It must be a text, not {}.", kind(&value))));
    };
    without_nul(name, &text)?;
    // Compares the bytes first, because their number is known.
    if text.len() > longest && text.chars().count() > longest {
        return Err(ApiError::invalid(name, format!("It may have {longest} characters at most.")));
    }
    Ok(text)
}

fn vector(name: &str, value: &Value) -> Result<Vec<f32>> {
    let values = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if values.len() != DIMENSIONS {
        let message = if value.is_array() {
            format!("It must have {DIMENSIONS} numbers, not {}.", values.len())
        } else {
            format!("It must be a list of {DIMENSIONS} numbers.")
        };
        return Err(ApiError::invalid(name, message));
    }
    let mut vector = Vec::with_capacity(DIMENSIONS);
    for (place, value) in values.iter().enumerate() {
        let number = value.as_f64().filter(|number| number.abs() <= MOST_OF_A_VECTOR).ok_or_else(|| {
            let message = format!("It must be a number from -{MOST_OF_A_VECTOR} to {MOST_OF_A_VECTOR}.");
            ApiError::invalid(format!("{name}[{place}]"), message)
        })?;
        // PostgreSQL stores 32 bits.
        #[allow(clippy::cast_possible_truncation)]
        vector.push(number as f32);
    }
    // A vector of length 0 has no cosine.
    let length: f32 = vector.iter().map(|number| number * number).sum();
    if !length.is_normal() {
        return Err(ApiError::invalid(name, "It must have a length: not all zero, and not tiny."));
    }
    Ok(vector)
}

/// PostgreSQL stores no NUL in a text (its manual, "Character Types").
fn without_nul(name: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(ApiError::invalid(name, "It must not have a NUL character (\\u0000)."));
    }
    Ok(())
}

/// Refuses what `jsonb` cannot store: a NUL in a text or a name.
fn storable(name: &str, members: &Map<String, Value>) -> Result<()> {
    for (key, value) in members {
        // A long name stays at the level above.
        let name = if name.len() < LONGEST_NAME {
            format!("{name}.{}", key.chars().filter(|c| !c.is_control()).take(50).collect::<String>())
        } else {
            name.to_owned()
        };
        without_nul(&name, key)?;
        storable_value(&name, value)?;
    }
    Ok(())
}

fn storable_value(name: &str, value: &Value) -> Result<()> {
    match value {
        Value::String(text) => without_nul(name, text),
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(place, value)| storable_value(&format!("{name}[{place}]"), value)),
        Value::Object(members) => storable(name, members),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Names the type of a value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
