//! Reads a file of a set through age and zstd.

use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use age::{DecryptError, Decryptor, Identity};
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_fs::files;

/// The advice for a damaged file.
const DAMAGED: &str = "The set is damaged: use another one (nexus-restore verify finds which are whole)";

/// Opens an encrypted file of a set. Decompresses it if its name ends in `.zst.age`.
///
/// The reader fails with an `io::Error` of kind `InvalidData` or `UnexpectedEof` where the file is
/// damaged or truncated: age authenticates each 64 KiB and the end.
///
/// # Errors
/// Permission (77) when no identity matches; Data (65) when the header is damaged; I/O.
pub fn open(path: &Path, identities: &[Box<dyn Identity>]) -> Result<Box<dyn Read + Send>> {
    let doing = || format!("decrypting {}", path.display());
    let opening = || format!("opening {}", path.display());
    let file = match files::open_plain(path) {
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(Failure::new(Exit::Data, opening()).because(error).advise(DAMAGED));
        }
        opened => opened.or_fail_io(opening)?,
    };
    let damaged = |cause: DecryptError| Failure::new(Exit::Data, doing()).because(cause).advise(DAMAGED);
    let decryptor = Decryptor::new_buffered(BufReader::new(file)).map_err(damaged)?;
    let plain = decryptor.decrypt(identities.iter().map(AsRef::as_ref)).map_err(|error| match error {
        DecryptError::NoMatchingKeys => Failure::new(Exit::Permission, doing())
            .because("this identity is not one of the set's recipients")
            .advise("Give the owner's identity file with --identity"),
        other => damaged(other),
    })?;
    if path.to_string_lossy().ends_with(".zst.age") {
        let decoder = zstd::Decoder::new(plain)
            .map_err(|e| Failure::new(Exit::Data, doing()).because(e).advise(DAMAGED))?;
        Ok(Box::new(decoder))
    } else {
        Ok(Box::new(plain))
    }
}

/// Returns the failure for an error of the reader from [`open`].
pub fn damaged(path: &Path, cause: std::io::Error) -> Failure {
    Failure::new(Exit::Data, format!("reading {}", path.display())).because(cause).advise(DAMAGED)
}
