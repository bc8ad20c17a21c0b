//! The parameters in a request's URL. Unknown ones are ignored.

use std::collections::HashMap;

use crate::error::ApiError;
use crate::input::fields::missing;
use crate::input::{LONGEST_NAME, MOST_LISTED, Result};

/// The largest `attention_weight`.
pub(crate) const MOST_ATTENTION: f64 = 1_000_000.0;

/// The parameters in a request's URL.
#[derive(Clone, Debug, Default)]
pub struct Parameters(HashMap<String, String>);

impl Parameters {
    /// Wraps the parameters that axum has parsed.
    pub fn new(parsed: HashMap<String, String>) -> Self {
        Self(parsed)
    }

    /// Returns `limit`, 1 to 100; 10 if it is absent.
    ///
    /// # Errors
    /// 422 if it is invalid.
    pub fn limit(&self) -> Result<i64> {
        let Some(limit) = self.0.get("limit") else { return Ok(10) };
        let number = limit.parse::<i64>().ok().filter(|limit| (1..=MOST_LISTED).contains(limit));
        number.ok_or_else(|| {
            ApiError::invalid("limit", format!("It must be a whole number from 1 to {MOST_LISTED}."))
        })
    }

    /// Returns `episode_id`, 1 to 200 characters.
    ///
    /// # Errors
    /// 422 if it is missing or invalid.
    pub fn episode_id(&self) -> Result<&str> {
        let id = self.0.get("episode_id").ok_or_else(|| missing("episode_id"))?;
        if id.is_empty() || id.chars().count() > LONGEST_NAME || id.chars().any(char::is_control) {
            let message =
                format!("It must have 1 to {LONGEST_NAME} characters, none of them a control character.");
            return Err(ApiError::invalid("episode_id", message));
        }
        Ok(id)
    }

    /// Returns `attention_weight`, 0 to a million; 1 if it is absent.
    ///
    /// # Errors
    /// 422 if it is invalid.
    pub(crate) fn attention_weight(&self) -> Result<f64> {
        let Some(weight) = self.0.get("attention_weight") else { return Ok(1.0) };
        let number = weight.parse::<f64>().ok().filter(|weight| (0.0..=MOST_ATTENTION).contains(weight));
        number.ok_or_else(|| {
            ApiError::invalid("attention_weight", format!("It must be a number from 0 to {MOST_ATTENTION}."))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> Parameters {
        Parameters::new(HashMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn parameters_have_limits() {
        assert_eq!(Parameters::default().limit().unwrap(), 10);
        for wrong in ["0", "101", "x", "", "1.5"] {
            assert_eq!(of("limit", wrong).limit().unwrap_err().field.unwrap(), "limit");
        }
        for wrong in ["NaN", "inf", "-1", "", "1e9"] {
            assert!(of("attention_weight", wrong).attention_weight().is_err(), "{wrong}");
        }
        for wrong in ["", "a\0", &"x".repeat(201)] {
            assert!(of("episode_id", wrong).episode_id().is_err());
        }
    }
}
