//! Parses JSON, with a limit on the memory that it takes.

use axum::http::StatusCode;
use serde_json::Value;

use crate::error::ApiError;
use crate::input::Result;

/// The most values of one request. A number takes two bytes on the wire and 32 in memory; an object
/// with one member takes three and some hundred. With a limit on bytes alone, a few
/// requests could take all memory.
const MOST_VALUES: usize = 1 << 18;

/// The number of values for which an object counts, because of its map.
const OBJECT: usize = 16;

/// The deepest nesting of a request. It is below the limit of [`parse_exported`], because an export
/// nests each value in one more object.
const DEEPEST: usize = 100;

/// Parses the JSON of a request.
///
/// # Errors
/// 400 `invalid_json`, with the position; 422 if it has too many values.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    let value = parse_exported(bytes)?;
    if is_deeper(&value, DEEPEST) {
        let message = format!("The JSON is nested too deep: more than {DEEPEST} lists and objects.");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message));
    }
    Ok(value)
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(values) => levels == 0 || values.iter().any(|value| is_deeper(value, levels - 1)),
        Value::Object(members) => levels == 0 || members.values().any(|value| is_deeper(value, levels - 1)),
        _ => false,
    }
}

/// Parses the JSON of an export, nested at most 127 deep.
///
/// # Errors
/// Same as [`parse`].
pub(crate) fn parse_exported(bytes: &[u8]) -> Result<Value> {
    if count_values(bytes) > MOST_VALUES {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "too_many_values",
            "The JSON holds too many values for one request.",
        ));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        // Not the whole message, which may quote the request.
        let why = match error.classify() {
            serde_json::error::Category::Eof => "it ends early",
            _ if error.to_string().starts_with("recursion limit") => "it is nested too deep",
            _ => "it is wrong",
        };
        let place = format!("at line {}, column {}", error.line(), error.column());
        let message = format!("The body is not JSON in UTF-8: {why} {place}.");
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message)
    })
}

/// Counts the values by the characters outside of strings.
fn count_values(bytes: &[u8]) -> usize {
    let (mut is_text, mut is_escaped, mut count) = (false, false, 0);
    for byte in bytes {
        if is_text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => is_text = false,
                _ => {}
            }
        } else {
            count += match byte {
                b'"' => {
                    is_text = true;
                    0
                }
                b',' | b'[' => 1,
                b'{' => OBJECT,
                _ => 0,
            };
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_json_is_refused_with_its_position_and_not_quoted() {
        let deep = "[".repeat(200_000);
        let endless = format!("[{}", "0,".repeat(MOST_VALUES + 1));
        for (body, code, word) in [
            ("", "invalid_json", "ends early"),
            ("{\"secret\"", "invalid_json", "ends early"),
            ("{\"a\": NaN}", "invalid_json", "line 1, column 7"),
            ("{\"a\": \"\\ud800\"}", "invalid_json", "is wrong"),
            ("{\"a\": 1e999}", "invalid_json", "is wrong"),
            (deep.as_str(), "invalid_json", "too deep"),
            (endless.as_str(), "too_many_values", "too many"),
        ] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert_eq!(error.code, code, "{}", error.message);
            assert!(error.message.contains(word), "{}", error.message);
            assert!(!error.message.contains("secret"));
        }
        assert!(parse(b"{\"a\": \"\xff\"}").is_err());
    }

    #[test]
    fn the_deepest_request_can_be_imported_from_its_export() {
        let nested = |deep: usize| format!("{}{}", "[".repeat(deep), "]".repeat(deep));
        assert!(parse(nested(DEEPEST).as_bytes()).is_ok());
        let refused = parse(nested(DEEPEST + 1).as_bytes()).unwrap_err();
        assert!(
            refused.code == "invalid_json" && refused.message.contains("too deep"),
            "{}",
            refused.message
        );
        assert!(parse_exported(format!("{{\"metadata\": {}}}", nested(DEEPEST)).as_bytes()).is_ok());
    }

    /// PostgreSQL writes a number of `jsonb` without an exponent.
    #[test]
    fn the_largest_numbers_can_be_read_again() {
        for number in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 0.1, 1e22, 123_456_789.123_456_78] {
            let value = parse(format!("[{number:e}]").as_bytes()).unwrap();
            assert_eq!(parse(format!("[{number}]").as_bytes()).unwrap()[0].as_f64(), Some(number));
            assert_eq!(value[0].as_f64(), Some(number));
        }
    }

    #[test]
    fn commas_in_a_text_are_not_counted() {
        let text = format!("{{\"a\": \"{}\\\"{}\"}}", ",".repeat(MOST_VALUES), "[".repeat(MOST_VALUES));
        assert!(parse(text.as_bytes()).is_ok());
    }
}
