//! When a certificate is valid.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use serde::Serialize;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::time::Time;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Validity {
    /// The first second.
    pub(crate) from: u64,
    /// The last second.
    pub(crate) until: u64,
}

/// Returns when the first certificate in `pem` is valid.
///
/// # Errors
/// Data (65) if there is none, or it is malformed.
pub(crate) fn validity(pem: &str) -> Result<Validity> {
    let doing = || "reading a certificate";
    let body = pem.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(body, _)| body);
    let body = body.ok_or_else(|| Failure::new(Exit::Data, doing()).because("there is none"))?;
    // Lines may have any length, as for openssl and Caddy, but not for RFC 7468.
    let der = STANDARD.decode(body.split_whitespace().collect::<String>()).or_fail(Exit::Data, doing)?;
    let certificate = Certificate::from_der(&der).or_fail(Exit::Data, doing)?;
    let validity = certificate.tbs_certificate.validity;
    let second = |time: Time| time.to_unix_duration().as_secs();
    Ok(Validity { from: second(validity.not_before), until: second(validity.not_after) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For tests only; nobody has its key. Valid from 2026-01-02 03:04:05 to 2055-06-07 08:09:10, so that it has both kinds of time.
    const CERTIFICATE: &str = include_str!("../testdata/certificate.pem");

    #[test]
    fn both_kinds_of_time_are_read() {
        let validity = validity(&format!("before\n{CERTIFICATE}{CERTIFICATE}")).unwrap();
        assert_eq!(validity, Validity { from: 1_767_323_045, until: 2_695_968_550 });
    }

    #[test]
    fn lines_may_have_any_length() {
        let one_line = CERTIFICATE
            .replace('\n', "")
            .replace(BEGIN, &format!("{BEGIN}\n"))
            .replace(END, &format!("\n{END}"));
        assert_eq!(validity(&one_line).unwrap(), validity(CERTIFICATE).unwrap());
    }

    #[test]
    fn anything_else_is_refused() {
        let (begin, body) = CERTIFICATE.split_at(61);
        let wrong = ["", END, "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"];
        for wrong in
            wrong.map(str::to_owned).into_iter().chain([begin.to_owned(), format!("{begin}AAAA{body}")])
        {
            assert!(validity(&wrong).is_err(), "{wrong}");
        }
    }
}
