//! Checks the settings, the token and the certificate's files. Each failure is one line.

use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};

use crate::args::{Method, Settings, Tls};
use crate::domain::Domain;
use crate::network::Networks;
use crate::{addresses, tailscale, token};

/// The owner's own certificate and its key.
pub(crate) const CERTIFICATE: &str = "/etc/nexus/tls/cert.pem";
const KEY: &str = "/etc/nexus/tls/key.pem";

/// The access that the settings describe, after all checks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Access {
    /// No other machine has access.
    Off,
    /// Other machines connect through Caddy.
    Caddy {
        /// This machine's name.
        domain: Domain,
        /// Where the certificate comes from.
        tls: Tls,
        /// Who may connect.
        allow: Networks,
    },
    /// Other machines connect through Tailscale.
    Tailscale,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => write!(f, "off: no other machine is let in"),
            Self::Caddy { domain, allow, .. } => write!(f, "caddy: https://{} for {allow}", domain.0),
            Self::Tailscale => write!(f, "tailscale: for the machines of this machine's tailnet"),
        }
    }
}

/// Checks everything.
///
/// # Errors
/// Settings (78) if a setting, the token or a certificate file is not valid; Unavailable (69) without Tailscale; Permission (77);
/// I/O (74).
pub(crate) fn all(settings: &Settings) -> Result<Access> {
    match settings.method {
        Method::Off => Ok(Access::Off),
        Method::Caddy => {
            let domain = domain(settings)?;
            let allow = allowed(settings, &addresses::public()?)?;
            if settings.tls == Tls::Files {
                files(Path::new(CERTIFICATE), Path::new(KEY))?;
            }
            token::check()?;
            Ok(Access::Caddy { domain, tls: settings.tls, allow })
        }
        Method::Tailscale => {
            tailscale::check()?;
            token::check()?;
            Ok(Access::Tailscale)
        }
    }
}

fn refuse(setting: String, why: String, advice: &str) -> Failure {
    Failure::new(Exit::Settings, setting).because(why).advise(advice)
}

fn domain(settings: &Settings) -> Result<Domain> {
    let advice = "Set NEXUS_DOMAIN in /etc/nexus/nexus.env; for a LAN also NEXUS_TLS=internal";
    let Some(domain) = settings.domain.clone() else {
        let why = "Caddy needs this machine's name".to_owned();
        return Err(refuse("setting NEXUS_DOMAIN=".to_owned(), why, advice));
    };
    if settings.tls == Tls::Auto
        && let Some(why) = domain.why_not_public()
    {
        let why = format!("no public authority issues a certificate for it: {why}");
        return Err(refuse(format!("setting NEXUS_DOMAIN={}", domain.0), why, advice));
    }
    Ok(domain)
}

/// Returns who may connect. An empty list never means everybody.
fn allowed(settings: &Settings, public: &[std::net::IpAddr]) -> Result<Networks> {
    if let Some(allow) = &settings.allow {
        return Ok(allow.clone());
    }
    let why = match public.first() {
        Some(address) => {
            format!(
                "this machine has the public address {address}, and the list of allowed networks is empty"
            )
        }
        None if settings.tls == Tls::Auto => {
            "this machine has a name on the Internet, and the list of allowed networks is empty".to_owned()
        }
        None => return Ok(Networks::private()),
    };
    let advice = "List addresses and networks, separated by spaces, such as 198.51.100.7 2001:db8::/48";
    Err(refuse("setting NEXUS_ALLOW_IPS=".to_owned(), why, advice))
}

/// Checks the certificate and the key: both must be PEM files, and others must not be able to read the key.
fn files(certificate: &Path, key: &Path) -> Result<()> {
    for path in [certificate, key] {
        let doing = || format!("reading {}", path.display());
        let advise = |why: String| {
            Failure::new(Exit::Settings, doing()).because(why).advise(
                "NEXUS_TLS=files needs the certificate and its intermediate certificates in /etc/nexus/tls/cert.pem, and its key in key.pem",
            )
        };
        let Some(mut file) = fs::File::open(path).if_there(doing)? else {
            return Err(advise("it does not exist".to_owned()));
        };
        let mode = file.metadata().or_fail_io(doing)?.permissions().mode();
        if path == key && mode & 0o007 != 0 {
            // The directory's group is the proxy's; its name varies.
            return Err(Failure::new(Exit::Settings, doing())
                .because("others may read the key")
                .advise(format!("chgrp --reference=/etc/nexus/tls {0}; chmod 640 {0}", path.display())));
        }
        let mut begin = [0; 11];
        let has_begin = file.read_exact(&mut begin).is_ok();
        if !has_begin || &begin != b"-----BEGIN " {
            return Err(advise("it is not a PEM file".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn settings(more: &[&str]) -> Settings {
        let args = Args::parse_from(["nexus-remote", "check", "--by", "caddy"].iter().chain(more));
        let Command::Check(settings) = args.command else { panic!("check is check") };
        settings
    }

    #[test]
    fn an_empty_list_never_allows_everybody() {
        let public = ["93.184.216.34".parse::<IpAddr>().unwrap()];
        let list = |tls: &str, public: &[IpAddr]| allowed(&settings(&["--tls", tls]), public);
        assert!(list("auto", &[]).is_err());
        assert!(list("internal", &public).unwrap_err().to_string().contains("93.184.216.34"));
        assert_eq!(list("internal", &[]).unwrap(), Networks::private());
        let given = settings(&["--tls", "auto", "--allow", "198.51.100.7"]);
        assert!(allowed(&given, &public).is_ok());
    }

    #[test]
    fn a_name_on_a_lan_is_refused_with_a_public_certificate() {
        assert!(domain(&settings(&["--domain", "nas.local"])).is_err());
        assert!(domain(&settings(&["--domain", "nas.local", "--tls", "internal"])).is_ok());
        assert!(domain(&settings(&["--domain", "memory.example.org"])).is_ok());
        assert!(domain(&settings(&[])).is_err());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        let now = || files(&certificate, &key).map_err(|failure| failure.to_string());
        assert!(now().unwrap_err().contains("does not exist"));
        for path in [&certificate, &key] {
            fs::write(path, "-----BEGIN X-----\n").unwrap();
        }
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(now().unwrap_err().contains("others may read the key"));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(now(), Ok(()));
        fs::write(&certificate, "").unwrap();
        assert!(now().unwrap_err().contains("not a PEM file"));
    }
}
