//! From when until when a certificate is good: the one thing that is read of it (RFC 5280, section 4.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use serde::Serialize;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Tags of DER (X.690): SEQUENCE, the version's `[0]`, and both kinds of time.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Validity {
    /// It begins.
    pub(crate) from: i64,
    /// It ends.
    pub(crate) until: i64,
}

/// Of the first certificate in `pem`.
///
/// # Errors
/// Data (65) when there is none, or it is none.
pub(crate) fn validity(pem: &str) -> Result<Validity> {
    let doing = || "reading a certificate";
    let begin = pem.find(BEGIN).map(|at| at + BEGIN.len());
    let body = begin.and_then(|begin| pem[begin..].split(END).next());
    let body = body.ok_or_else(|| Failure::new(Exit::Data, doing()).because("it has no certificate"))?;
    let der = STANDARD.decode(body.split_whitespace().collect::<String>()).or_fail(Exit::Data, doing)?;
    of_der(&der).ok_or_else(|| Failure::new(Exit::Data, doing()).because("it is not what a certificate is"))
}

fn of_der(der: &[u8]) -> Option<Validity> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (mut rest, _) = expect(certificate, SEQUENCE)?;
    if let Some((_, after)) = expect(rest, VERSION) {
        rest = after;
    }
    // Its number, how it is signed, by whom.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (validity, _) = expect(rest, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (until, _) = time(rest)?;
    Some(Validity { from, until })
}

/// An element's tag, its content, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |so_far, &byte| so_far << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn expect(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(tag, ..)| *tag == wanted).map(|(_, content, rest)| (content, rest))
}

/// `YYMMDDHHMMSSZ`, whose years are 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn time(der: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, content, rest) = element(der)?;
    let text = std::str::from_utf8(content).ok()?;
    let text = match tag {
        UTC_TIME => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some((time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second(), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of the tests alone; its key is nowhere. Good from 2026-01-02 03:04:05 to 2055-06-07 08:09:10, so that both kinds of time are in it.
    const OF_TESTS: &str = include_str!("../testdata/certificate.pem");

    #[test]
    fn both_kinds_of_time_are_read() {
        let validity = validity(&format!("before\n{OF_TESTS}")).unwrap();
        assert_eq!(validity, Validity { from: 1_767_323_045, until: 2_695_968_550 });
    }

    #[test]
    fn what_is_none_is_refused() {
        for wrong in
            ["", "-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"]
        {
            assert!(validity(wrong).is_err(), "{wrong}");
        }
        let body: String = OF_TESTS.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(body).unwrap();
        assert!((0..der.len()).all(|length| of_der(&der[..length]).is_none()));
    }

    proptest! {
        /// Rubbish has no validity, and is no reason to end.
        #[test]
        fn rubbish_is_no_certificate(der: Vec<u8>) {
            let _ = of_der(&der);
        }

        #[test]
        fn nor_is_one_with_a_wrong_byte_a_reason_to_end(at in 0..200usize, byte: u8) {
            let body: String = OF_TESTS.lines().filter(|line| !line.starts_with('-')).collect();
            let mut der = STANDARD.decode(body).unwrap();
            let at = at % der.len();
            der[at] = byte;
            let _ = of_der(&der);
        }
    }
}
