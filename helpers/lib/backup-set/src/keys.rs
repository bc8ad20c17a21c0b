//! Reads age recipients, to encrypt for, and identities, to decrypt with.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use age::x25519::Recipient;
use age::{Identity, IdentityFile};
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use secrecy::{ExposeSecret, SecretSlice};

use super::recipient;

/// The maximum bytes to read of an identity file: some thousand identities.
const LONGEST_IDENTITIES: u64 = 1 << 20;

/// Reads the recipients in `path`, one per line. `#` begins a comment.
///
/// # Errors
/// Settings (78) when the file is missing or empty, or a line is not a recipient.
pub fn recipients(path: &Path) -> Result<Vec<Recipient>> {
    let doing = || format!("reading the recipients in {}", path.display());
    let advice = "Put one age recipient per line there (age1…); nexus-setup creates the file";
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::new(Exit::Settings, doing()).because(error).advise(advice));
        }
        other => other.or_fail_io(doing)?,
    };
    let mut recipients: Vec<Recipient> = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.or_fail_io(doing)?;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let recipient = recipient::read(line).map_err(|kind| {
            Failure::new(Exit::Settings, doing())
                .because(format!("line {} is {kind}", number + 1))
                .advise(recipient::ADVICE)
        })?;
        recipients.push(recipient);
    }
    if recipients.is_empty() {
        return Err(Failure::new(Exit::Settings, doing()).because("there is none").advise(advice));
    }
    Ok(recipients)
}

/// Reads the identities in a file in the format of age-keygen(1).
///
/// # Errors
/// Permission (77), I/O (74), or Usage (64) when the file contains no identity. The error never
/// quotes its content.
pub fn identities(path: &Path) -> Result<Vec<Box<dyn Identity>>> {
    let doing = || format!("reading the identity file {}", path.display());
    let mut content = Vec::new();
    // Reads it before parsing: a failing disk is not a wrong file.
    let outcome = File::open(path).and_then(|file| file.take(LONGEST_IDENTITIES).read_to_end(&mut content));
    let content = SecretSlice::from(content);
    outcome.or_fail_io(doing)?;
    // The format of age --passphrase.
    let is_locked = |begin: &&str| content.expose_secret().starts_with(begin.as_bytes());
    if ["age-encryption.org/", "-----BEGIN AGE ENCRYPTED FILE"].iter().any(is_locked) {
        return Err(Failure::new(Exit::Usage, doing()).because("it is locked with a passphrase").advise(
            "Decrypt it into a file that only you can read, and remove that file afterwards: age --decrypt",
        ));
    }
    let no_identity = || {
        Failure::new(Exit::Usage, doing())
            .because("it holds no age identity (AGE-SECRET-KEY-1…)")
            .advise("Give the file that age-keygen wrote")
    };
    let parsed = IdentityFile::from_buffer(content.expose_secret()).map_err(|_| no_identity())?;
    let identities = parsed.into_identities().or_fail(Exit::Usage, doing)?;
    if identities.is_empty() {
        Err(no_identity())
    } else {
        Ok(identities.into_iter().map(|i| i as _).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> Failure {
        identities(path).map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_read_error_differs_from_a_wrong_file() {
        let directory = tempfile::tempdir().unwrap();
        // Reading a directory fails after it was opened, as reading from a bad disk does.
        assert_eq!(refused(directory.path()).exit(), Exit::Io);
        let path = directory.path().join("identity");
        std::fs::write(&path, "no identity\n").unwrap();
        assert_eq!(refused(&path).exit(), Exit::Usage);
        std::fs::write(&path, [0xff; 100]).unwrap();
        assert_eq!(refused(&path).exit(), Exit::Usage);
        std::fs::write(&path, "").unwrap();
        assert_eq!(refused(&path).exit(), Exit::Usage);
        for begin in ["age-encryption.org/v1\n-> scrypt", "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl"] {
            std::fs::write(&path, begin).unwrap();
            assert!(refused(&path).to_string().contains("locked with a passphrase"));
        }
    }
}
