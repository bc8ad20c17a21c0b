//! The protocol on the socket of `nexus-embed`.
//!
//! Requests and answers are frames: a length of four bytes (little-endian), then that many bytes. A
//! request is JSON. The first byte of an answer is 0 for vectors (length of the version as `u16`,
//! the version in UTF-8, count as `u16`, dimensions as `u16`, then count × dimensions `f32`, all
//! little-endian) and 1 for a refusal (JSON). A client may send several requests on one connection,
//! each after the answer to the previous one. The service closes the connection of a client whose
//! request it refused as `bad_request`, or that has not read an answer within ten seconds. The service
//! exits when it is idle. A client that finds the connection closed before an answer begins connects
//! again and repeats the request, which changes nothing.

use std::fmt;

use nexus_cli::text::beginning;
use serde::{Deserialize, Serialize};

/// The longest request, in bytes, without its length.
pub const LONGEST_REQUEST: usize = 4 << 20;

/// The most texts in one request.
pub const MOST_TEXTS: usize = 64;

/// The longest version: its column, `embedding_version`, is a `varchar(50)`.
pub const LONGEST_VERSION: usize = 50;

/// The most dimensions of a vector: pgvector's limit for an index.
const MOST_DIMENSIONS: usize = 2000;

/// The longest message of a refusal, in bytes.
const LONGEST_MESSAGE: usize = 4096;

/// The longest answer, in bytes, without its length.
pub(crate) const LONGEST_ANSWER: usize = 7 + LONGEST_VERSION * 4 + MOST_TEXTS * MOST_DIMENSIONS * 4;

const VECTORS: u8 = 0;
const REFUSAL: u8 = 1;

/// The kind of texts, which some models distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextKind {
    /// A text to search for.
    Query,
    /// A stored text that a search may find.
    Passage,
}

/// A request for the vectors of texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    v: Version1,
    /// The kind of the texts.
    pub kind: TextKind,
    /// The texts, 1 to [`MOST_TEXTS`].
    pub texts: Vec<String>,
}

/// The version of this protocol: 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
struct Version1;

impl TryFrom<u8> for Version1 {
    type Error = String;

    fn try_from(version: u8) -> Result<Self, String> {
        if version == 1 {
            Ok(Self)
        } else {
            Err(format!("version {version} of the protocol is not supported, only 1"))
        }
    }
}

impl From<Version1> for u8 {
    fn from(_: Version1) -> Self {
        1
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbedReply {
    /// The vectors.
    Vectors(Vectors),
    /// Why there are no vectors.
    Refusal(Refusal),
}

/// Vectors of one model, in the order of the texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// The model's name, `@`, and the first eight hexadecimal digits of the SHA-256 of its weights.
    /// Column `embedding_version` stores it. Vectors of two versions are not comparable.
    pub version: String,
    /// The number of dimensions, never 0.
    pub dimensions: usize,
    /// The vectors one after the other, each of Euclidean length 1.
    pub values: Vec<f32>,
}

impl Vectors {
    /// Returns one slice per text.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimensions)
    }
}

/// Why there are no vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason, for programs.
    pub code: Code,
    /// The reason, for people: one sentence that quotes nothing of the texts.
    pub message: String,
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is invalid; another try will not help.
    BadRequest,
    /// No model is installed, or it is damaged.
    NoModel,
    /// Too many requests are waiting; a later try may work.
    Busy,
    /// The service failed on this request.
    Failed,
}

/// Why bytes are not a frame of this protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

impl Malformed {
    /// The answer is longer than allowed.
    pub(super) fn of_length(length: usize) -> Self {
        Self(format!("{length} bytes, more than {LONGEST_ANSWER}"))
    }

    /// The number of vectors in the answer is not the number of texts.
    pub(super) fn of_count() -> Self {
        Self("the number of vectors is not the number of texts".to_owned())
    }
}

fn malformed(why: impl Into<String>) -> Malformed {
    Malformed(why.into())
}

impl Request {
    /// Creates a request for the vectors of `texts`.
    pub fn new(kind: TextKind, texts: Vec<String>) -> Self {
        Self { v: Version1, kind, texts }
    }

    /// Encodes it as a frame, with its length.
    ///
    /// # Errors
    /// The request has no texts, more than [`MOST_TEXTS`], or is longer than [`LONGEST_REQUEST`].
    pub fn to_frame(&self) -> Result<Vec<u8>, Malformed> {
        self.check()?;
        let body = serde_json::to_vec(self).map_err(|error| malformed(error.to_string()))?;
        if body.len() > LONGEST_REQUEST {
            return Err(malformed(format!("a request of {} bytes, more than {LONGEST_REQUEST}", body.len())));
        }
        Ok(framed(body))
    }

    /// Parses the body of a frame.
    ///
    /// # Errors
    /// The body is not a valid request. The error quotes nothing of the texts.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        // serde_json would quote a wrong value, so the error gives only its position.
        let request: Self = serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            malformed(format!(
                "not {{\"v\":1,\"kind\":\"query\"|\"passage\",\"texts\":[…]}}: wrong at line {line}, column {column}"
            ))
        })?;
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), Malformed> {
        match self.texts.len() {
            1..=MOST_TEXTS => Ok(()),
            number => Err(malformed(format!("{number} texts; expected 1 to {MOST_TEXTS}"))),
        }
    }
}

impl EmbedReply {
    /// Encodes it as a frame, with its length.
    ///
    /// # Errors
    /// The answer does not fit the format.
    pub fn to_frame(&self) -> Result<Vec<u8>, Malformed> {
        match self {
            Self::Vectors(vectors) => vectors.to_frame(),
            Self::Refusal(refusal) => {
                let mut body = vec![REFUSAL];
                serde_json::to_writer(&mut body, refusal).map_err(|error| malformed(error.to_string()))?;
                Ok(framed(body))
            }
        }
    }

    /// Parses the body of a frame.
    ///
    /// # Errors
    /// The body is not a valid answer.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        match body.split_first() {
            Some((&VECTORS, rest)) => Vectors::parse(rest).map(Self::Vectors),
            Some((&REFUSAL, rest)) if rest.len() <= LONGEST_MESSAGE => {
                serde_json::from_slice(rest).map(Self::Refusal).map_err(|error| {
                    malformed(format!("a malformed refusal: {}", beginning(&error.to_string())))
                })
            }
            Some((&REFUSAL, _)) => Err(malformed("a refusal that is too long")),
            Some((kind, _)) => Err(malformed(format!("an answer of the unknown kind {kind}"))),
            None => Err(malformed("an empty answer")),
        }
    }
}

impl Vectors {
    fn to_frame(&self) -> Result<Vec<u8>, Malformed> {
        self.check()?;
        let mut body = vec![VECTORS];
        for (number, bytes) in [
            (self.version.len(), self.version.as_bytes()),
            (self.values.len() / self.dimensions, &[]),
            (self.dimensions, &[]),
        ] {
            let number =
                u16::try_from(number).map_err(|_| malformed(format!("{number} does not fit 16 bits")))?;
            body.extend_from_slice(&number.to_le_bytes());
            body.extend_from_slice(bytes);
        }
        body.reserve_exact(self.values.len() * 4);
        body.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
        Ok(framed(body))
    }

    fn parse(mut body: &[u8]) -> Result<Self, Malformed> {
        let short = || malformed("vectors that end early");
        let number = |body: &mut &[u8]| -> Result<usize, Malformed> {
            let (first, rest) = body.split_first_chunk::<2>().ok_or_else(short)?;
            *body = rest;
            Ok(usize::from(u16::from_le_bytes(*first)))
        };
        let length = number(&mut body)?;
        let (version, rest) = body.split_at_checked(length).ok_or_else(short)?;
        let version = std::str::from_utf8(version).map_err(|_| malformed("a version that is not UTF-8"))?;
        body = rest;
        let (count, dimensions) = (number(&mut body)?, number(&mut body)?);
        if body.len() != count * dimensions * 4 {
            return Err(malformed(format!(
                "{} bytes for {count} vectors of {dimensions} numbers",
                body.len()
            )));
        }
        let (numbers, _) = body.as_chunks::<4>();
        let values = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let vectors = Self { version: version.to_owned(), dimensions, values };
        vectors.check()?;
        Ok(vectors)
    }

    fn check(&self) -> Result<(), Malformed> {
        if self.version.is_empty() || self.version.chars().count() > LONGEST_VERSION {
            return Err(malformed(format!("a version must have 1 to {LONGEST_VERSION} characters")));
        }
        if self.dimensions == 0 || self.dimensions > MOST_DIMENSIONS {
            return Err(malformed(format!("vectors of {} numbers", self.dimensions)));
        }
        if self.values.is_empty()
            || !self.values.len().is_multiple_of(self.dimensions)
            || self.values.len() / self.dimensions > MOST_TEXTS
        {
            return Err(malformed(format!(
                "{} numbers for vectors of {}",
                self.values.len(),
                self.dimensions
            )));
        }
        if !self.values.iter().all(|value| value.is_finite()) {
            return Err(malformed("a vector with a number that is not finite"));
        }
        Ok(())
    }
}

/// Puts the length before the body.
fn framed(body: Vec<u8>) -> Vec<u8> {
    // Every body has at most a few MiB.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut frame = body;
    frame.splice(0..0, length.to_le_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vectors() -> impl Strategy<Value = Vectors> {
        (1_usize..20, 1_usize..=MOST_TEXTS, "[a-z0-9@.-]{1,50}").prop_flat_map(
            |(dimensions, count, version)| {
                proptest::collection::vec(-1.0_f32..1.0, dimensions * count).prop_map(move |values| Vectors {
                    version: version.clone(),
                    dimensions,
                    values,
                })
            },
        )
    }

    proptest! {
        #[test]
        fn requests_and_answers_survive_a_round_trip(texts in proptest::collection::vec(any::<String>(), 1..=MOST_TEXTS), is_query: bool, vectors in vectors()) {
            let kind = if is_query { TextKind::Query } else { TextKind::Passage };
            let request = Request::new(kind, texts);
            let frame = request.to_frame().unwrap();
            prop_assert_eq!(&frame[..4], &u32::try_from(frame.len() - 4).unwrap().to_le_bytes());
            prop_assert_eq!(Request::parse(&frame[4..]).unwrap(), request);
            let answer = EmbedReply::Vectors(vectors);
            let frame = answer.to_frame().unwrap();
            prop_assert!(frame.len() - 4 <= LONGEST_ANSWER);
            prop_assert_eq!(EmbedReply::parse(&frame[4..]).unwrap(), answer);
        }

        #[test]
        fn a_truncated_answer_is_an_error(vectors in vectors(), cut in any::<proptest::sample::Index>()) {
            let frame = EmbedReply::Vectors(vectors).to_frame().unwrap();
            let end = 4 + cut.index(frame.len() - 4);
            prop_assert!(EmbedReply::parse(&frame[4..end]).is_err());
        }
    }

    #[test]
    fn the_bytes_match_the_documented_format() {
        let request = Request::new(TextKind::Query, vec!["é".to_owned()]);
        assert_eq!(
            request.to_frame().unwrap()[4..],
            *"{\"v\":1,\"kind\":\"query\",\"texts\":[\"é\"]}".as_bytes()
        );
        let vectors = Vectors { version: "m@01234567".to_owned(), dimensions: 2, values: vec![1.0, 0.0] };
        let frame = EmbedReply::Vectors(vectors).to_frame().unwrap();
        let expected =
            [&[25, 0, 0, 0, 0, 10, 0], &b"m@01234567"[..], &[1, 0, 2, 0, 0, 0, 128, 63, 0, 0, 0, 0]].concat();
        assert_eq!(frame, expected);
        let refusal = Refusal { code: Code::NoModel, message: "none".to_owned() };
        let frame = EmbedReply::Refusal(refusal).to_frame().unwrap();
        assert_eq!(frame[4..], *b"\x01{\"code\":\"no_model\",\"message\":\"none\"}");
    }

    #[test]
    fn a_wrong_request_is_refused_without_its_text() {
        for body in [
            r#"{"v":2,"kind":"query","texts":["secret"]}"#,
            r#"{"v":1,"kind":"secret","texts":["secret"]}"#,
            r#"{"v":1,"kind":"query","texts":["secret"],"more":1}"#,
            r#"{"v":1,"kind":"query","texts":[]}"#,
            r#"{"v":1,"kind":"query","texts":"secret"}"#,
            r#"{"v":1,"kind":"query","texts":["secret"#,
            "",
        ] {
            let why = Request::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(!why.contains("secret"), "{why}");
        }
        let many = Request::new(TextKind::Passage, vec![String::new(); MOST_TEXTS + 1]);
        assert!(many.to_frame().is_err());
        let long = Request::new(TextKind::Passage, vec!["x".repeat(LONGEST_REQUEST)]);
        assert!(long.to_frame().is_err());
    }

    #[test]
    fn vectors_with_nan_or_without_dimensions_are_refused() {
        let vectors = Vectors { version: "m@01234567".to_owned(), dimensions: 1, values: vec![f32::NAN] };
        assert!(EmbedReply::Vectors(vectors).to_frame().is_err());
        assert!(EmbedReply::parse(&[0, 1, 0, b'm', 1, 0, 1, 0, 0, 0, 0xc0, 0x7f]).is_err());
        assert!(EmbedReply::parse(&[0, 1, 0, b'm', 1, 0, 0, 0]).is_err());
    }
}
