//! The protocol of nexus-purge's socket: per connection, one line of JSON with a request and one
//! with the answer.
//!
//! ```json
//! {"v":1,"agent":"nexus","episode":"00000000-0000-4000-8000-000000000000"}
//! {"v":1,"status":"forgotten"}
//! ```

use nexus_cli::text::printable;
use serde::{Deserialize, Serialize};

/// The path of the socket.
pub const DEFAULT_SOCKET: &str = "/run/nexus/purge.sock";

/// The longest line of either side, in bytes, with its line feed.
pub const LONGEST_LINE: usize = 8 << 10;

/// The longest name of an agent, in bytes.
pub const LONGEST_AGENT: usize = 1024;

/// The longest message of an answer, in characters.
const LONGEST_MESSAGE: usize = 1000;

/// The only supported version.
const VERSION: u8 = 1;

/// A request to forget one episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The agent to which the episode must belong.
    pub agent: String,
    /// The episode's id, a UUID with hyphens.
    pub episode: String,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForgetReply {
    /// The decision is in the ledger, and the episode is gone.
    Forgotten,
    /// The agent does not have this episode. Nothing was written or deleted.
    Absent,
    /// The hourly limit is reached, with the number of forgotten episodes. Nothing was deleted.
    TooMany(String),
    /// Another process locks the ledger or the row, with the cause. Nothing was deleted: try later.
    Busy(String),
    /// The request failed, with the cause.
    Failed(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLine {
    v: u8,
    agent: String,
    episode: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerLine {
    v: u8,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Forgotten,
    Absent,
    TooMany,
    Busy,
    Failed,
}

impl Request {
    /// Parses a request, with or without its line feed.
    ///
    /// # Errors
    /// The cause, in one line that quotes little of the request.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let RequestLine { v, agent, episode } = parse(line)?;
        check_version(v)?;
        let request = Self { agent, episode };
        request.check()?;
        Ok(request)
    }

    /// Writes the request as a line, with its line feed.
    ///
    /// # Errors
    /// The request is invalid, for this cause.
    pub fn to_line(&self) -> Result<String, String> {
        self.check()?;
        let Self { agent, episode } = self.clone();
        let line = to_line(&RequestLine { v: VERSION, agent, episode })?;
        // Control characters take six bytes each.
        if line.len() > LONGEST_LINE { Err("agent: too long".to_owned()) } else { Ok(line) }
    }

    fn check(&self) -> Result<(), String> {
        if self.agent.is_empty() || self.agent.len() > LONGEST_AGENT || self.agent.contains('\0') {
            return Err(format!("agent: expected 1 to {LONGEST_AGENT} bytes without a NUL"));
        }
        if !is_uuid(&self.episode) {
            return Err(
                "episode: not a UUID; expected one such as 00000000-0000-4000-8000-000000000000".to_owned()
            );
        }
        Ok(())
    }
}

impl ForgetReply {
    /// Parses an answer, with or without its line feed.
    ///
    /// # Errors
    /// The cause, in one line.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let AnswerLine { v, status, message } = parse(line)?;
        check_version(v)?;
        match (status, message) {
            (Status::Forgotten, None) => Ok(Self::Forgotten),
            (Status::Absent, None) => Ok(Self::Absent),
            (Status::TooMany, Some(message)) => Ok(Self::TooMany(one_line(&message))),
            (Status::Busy, Some(message)) => Ok(Self::Busy(one_line(&message))),
            (Status::Failed, Some(message)) => Ok(Self::Failed(one_line(&message))),
            (Status::Forgotten | Status::Absent, Some(_)) => Err("unexpected message".to_owned()),
            (Status::TooMany | Status::Busy | Status::Failed, None) => {
                Err("the message is missing".to_owned())
            }
        }
    }

    /// Writes the answer as a line, with its line feed. Truncates a long message.
    ///
    /// # Errors
    /// Never in practice: the answer cannot be written as JSON.
    pub fn to_line(&self) -> Result<String, String> {
        let (status, message) = match self {
            Self::Forgotten => (Status::Forgotten, None),
            Self::Absent => (Status::Absent, None),
            Self::TooMany(why) => (Status::TooMany, Some(one_line(why))),
            Self::Busy(why) => (Status::Busy, Some(one_line(why))),
            Self::Failed(why) => (Status::Failed, Some(one_line(why))),
        };
        to_line(&AnswerLine { v: VERSION, status, message })
    }
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    if line.len() > LONGEST_LINE {
        return Err(format!("it is longer than {LONGEST_LINE} bytes"));
    }
    // The parser would also accept an array of the members' values.
    if line.trim_ascii_start().first() != Some(&b'{') {
        return Err("not a JSON object".to_owned());
    }
    // The parser's error quotes names from the line.
    serde_json::from_slice(line).map_err(|error| format!("malformed: {}", one_line(&error.to_string())))
}

fn to_line(line: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(line).map(|text| text + "\n").map_err(|error| error.to_string())
}

fn check_version(version: u8) -> Result<(), String> {
    if version == VERSION {
        Ok(())
    } else {
        Err(format!("v: version {version} is not supported, only {VERSION}"))
    }
}

/// Makes a text printable and short enough for a line.
fn one_line(text: &str) -> String {
    printable(text).chars().take(LONGEST_MESSAGE).collect()
}

/// Returns whether the text is a UUID in the format of RFC 9562.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0d9c2f7a-5b1e-4f6a-9c3d-7e8f9a0b1c2d";

    fn request(agent: &str, episode: &str) -> Request {
        Request { agent: agent.to_owned(), episode: episode.to_owned() }
    }

    #[test]
    fn requests_and_answers_survive_a_round_trip() {
        for agent in ["nexus", "ñandú \"x\"", "\u{1}"] {
            let line = request(agent, ID).to_line().unwrap();
            assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line}");
            assert_eq!(Request::parse(line.as_bytes()), Ok(request(agent, ID)));
        }
        for answer in [
            ForgetReply::Forgotten,
            ForgetReply::Absent,
            ForgetReply::TooMany("100".into()),
            ForgetReply::Busy("later".into()),
            ForgetReply::Failed("no".into()),
        ] {
            assert_eq!(ForgetReply::parse(answer.to_line().unwrap().as_bytes()), Ok(answer));
        }
        assert_eq!(ForgetReply::Forgotten.to_line().unwrap(), "{\"v\":1,\"status\":\"forgotten\"}\n");
    }

    #[test]
    fn an_invalid_request_is_refused_with_a_short_cause() {
        let wrong = [
            "",
            "{}",
            "[]",
            &format!(r#"[1,"a","{ID}"]"#),
            "null",
            &format!(r#"{{"v":1,"agent":"a","episode":"{ID}","more":1}}"#),
            &format!(r#"{{"v":1,"agent":"a","agent":"b","episode":"{ID}"}}"#),
            &format!(r#"{{"v":2,"agent":"a","episode":"{ID}"}}"#),
            &format!(r#"{{"v":"1","agent":"a","episode":"{ID}"}}"#),
            &format!(r#"{{"agent":"a","episode":"{ID}"}}"#),
            &format!(r#"{{"v":1,"agent":"","episode":"{ID}"}}"#),
            &format!(r#"{{"v":1,"agent":"\u0000","episode":"{ID}"}}"#),
            &format!(r#"{{"v":1,"agent":"{}","episode":"{ID}"}}"#, "a".repeat(LONGEST_AGENT + 1)),
            &format!(r#"{{"v":1,"agent":"a","episode":"{ID}"}} x"#),
            &format!(r#"{{"v":1,"agent":"a","episode":"{}"}}"#, ID.replace('-', "")),
            &format!(r#"{{"v":1,"agent":"a","episode":"{{{ID}}}"}}"#),
            r#"{"v":1,"agent":"a","episode":"0d9c2f7a-5b1e-4f6a-9c3d-7e8f9a0b1c2g"}"#,
            r#"{"v":1,"agent":"a","episode":["x"]}"#,
        ];
        for line in wrong {
            let why = Request::parse(line.as_bytes()).unwrap_err();
            assert!(!why.is_empty() && !why.contains('\n') && why.len() < 1200, "{line}: {why}");
        }
        assert!(Request::parse(&vec![b' '; LONGEST_LINE + 1]).is_err());
        // The longest line that is written can be read.
        assert!(request(&"\u{1}".repeat(LONGEST_AGENT), ID).to_line().is_ok());
        assert!(request("a", "x").to_line().is_err());
    }

    #[test]
    fn an_answer_has_a_message_exactly_where_it_must() {
        for line in [
            r#"{"v":1,"status":"forgotten","message":"x"}"#,
            r#"{"v":1,"status":"busy"}"#,
            r#"{"v":1,"status":"gone"}"#,
            r#"{"v":1}"#,
        ] {
            assert!(ForgetReply::parse(line.as_bytes()).is_err(), "{line}");
        }
        let long = ForgetReply::Failed("\n\u{7}ü".repeat(5000)).to_line().unwrap();
        assert!(long.len() <= LONGEST_LINE && long.matches('\n').count() == 1);
    }
}
