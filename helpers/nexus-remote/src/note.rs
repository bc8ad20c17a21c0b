//! Records for nexus-health what it cannot see, because it has no key and no network.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nexus_cli::credentials;
use nexus_cli::failure::{Exit, OrFail, OrFailIo, Result};
use nexus_fs::files::{self, open_plain};
use serde::Serialize;

use crate::args::{Method, Settings, Tls};
use crate::certificate::{self, Validity};
use crate::check::CERTIFICATE;
use crate::network::Networks;
use crate::token;

/// Where Caddy keeps its certificates: each in AUTHORITY/NAME/.
const CADDY_CERTIFICATES: &str = "/var/lib/nexus/proxy/caddy/certificates";

/// How much of a certificate file is read, in bytes: the certificate comes first, its chain after it.
const MAX_BYTES: u64 = 1 << 20;

/// The note.
#[derive(Serialize)]
struct Note {
    /// `off`, `caddy`, `tailscale`.
    way: &'static str,
    /// Whether the list of allowed networks contains every address.
    allows_everybody: bool,
    /// When the file of tokens last changed, in seconds since 1970.
    token_since: Option<u64>,
    /// The validity of the certificate that Caddy presents.
    certificate: Option<Validity>,
}

/// Writes the note to `file`, atomically.
pub(crate) fn write(settings: &Settings, file: &Path) -> Result<()> {
    let nothing = Note { way: "off", allows_everybody: false, token_since: None, certificate: None };
    let note = match settings.method {
        Method::Off => nothing,
        Method::Tailscale => Note { way: "tailscale", token_since: token_since()?, ..nothing },
        Method::Caddy => Note {
            way: "caddy",
            allows_everybody: settings.allow.as_ref().is_some_and(Networks::hold_everybody),
            token_since: token_since()?,
            certificate: certificate(settings)?,
        },
    };
    let text = serde_json::to_string(&note).or_fail(Exit::Software, || "writing JSON")?;
    files::replace(file, (text + "\n").as_bytes(), 0o644).or_fail_io(|| format!("writing {}", file.display()))
}

fn token_since() -> Result<Option<u64>> {
    let path = credentials::path_of(token::CREDENTIAL);
    let changed = fs::metadata(&path).and_then(|metadata| metadata.modified());
    Ok(changed.if_there(|| format!("reading the time of {}", path.display()))?.map(seconds))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Returns the validity of the certificate that expires last: Caddy presents the newest.
fn certificate(settings: &Settings) -> Result<Option<Validity>> {
    // The owner may have made the file a link. Follow none in Caddy's directory: a compromised Caddy could have made it.
    let (files, open): (_, fn(&Path) -> io::Result<File>) = match (settings.tls, &settings.domain) {
        (Tls::Files, _) => (vec![PathBuf::from(CERTIFICATE)], |path| File::open(path)),
        (_, Some(domain)) => (of_caddy(Path::new(CADDY_CERTIFICATES), &domain.0)?, open_plain),
        (_, None) => return Ok(None),
    };
    let mut found: Vec<Validity> = Vec::new();
    for path in files {
        let doing = || format!("reading {}", path.display());
        let Some(file) = open(&path).if_there(doing)? else { continue };
        let text = io::read_to_string(file.take(MAX_BYTES)).or_fail_io(doing)?;
        found.push(certificate::validity(&text).map_err(|why| why.while_doing(doing()))?);
    }
    Ok(found.into_iter().max_by_key(|validity| validity.until))
}

fn of_caddy(directory: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let doing = || format!("reading {}", directory.display());
    let mut files = Vec::new();
    for authority in fs::read_dir(directory).if_there(doing)?.into_iter().flatten() {
        files.push(authority.or_fail_io(doing)?.path().join(name).join(format!("{name}.crt")));
    }
    Ok(files)
}
