//! Reads secrets from systemd's credentials directory or from 0600 files, never from arguments or
//! environment variables.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, OrFailIo, Result};

/// The directory of the files when systemd passes no credentials, because a person runs the helper
/// as root.
pub const DEFAULT_DIRECTORY: &str = "/etc/nexus/credentials";

/// The longest secret, in bytes.
const LONGEST: u64 = 4096;

/// Returns the path of credential `name`: in `$CREDENTIALS_DIRECTORY` (systemd.exec(5),
/// `LoadCredential=`) if it exists there, else in `$NEXUS_CREDENTIALS`, else in
/// [`DEFAULT_DIRECTORY`].
pub fn path_of(name: &str) -> PathBuf {
    if let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        let path = PathBuf::from(directory).join(name);
        if path.exists() {
            return path;
        }
    }
    std::env::var_os("NEXUS_CREDENTIALS")
        .map_or_else(|| PathBuf::from(DEFAULT_DIRECTORY), PathBuf::from)
        .join(name)
}

/// Reads credential `name`, without its newline.
///
/// # Errors
/// Permission (77), Settings (78) or I/O. The error names the file, never its content.
pub fn read(name: &str) -> Result<SecretString> {
    let path = path_of(name);
    let opened = File::open(&path).if_there(|| format!("opening credential {}", path.display()))?;
    let Some(file) = opened else {
        return Err(Failure::new(Exit::Settings, format!("reading credential {name}"))
            .because(format!("{} does not exist", path.display()))
            .advise("Run nexus-setup again: it creates what is missing"));
    };
    let mut text = String::new();
    file.take(LONGEST)
        .read_to_string(&mut text)
        .or_fail_io(|| format!("reading credential {}", path.display()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Failure::new(Exit::Settings, format!("reading credential {}", path.display()))
            .because("the file is empty")
            .advise("Run nexus-setup again: it creates what is missing"));
    }
    Ok(SecretString::from(secret.to_owned()))
}

/// Generates a password of 64 hexadecimal digits.
///
/// # Errors
/// I/O.
pub fn random() -> Result<SecretString> {
    let mut bytes = Zeroizing::new([0; 32]);
    let source = "/dev/urandom";
    File::open(source)
        .and_then(|mut file| file.read_exact(bytes.as_mut_slice()))
        .or_fail_io(|| format!("reading {source}"))?;
    let mut digits = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for byte in bytes.iter() {
        digits.extend([byte >> 4, byte & 15].map(|half| char::from(b"0123456789abcdef"[usize::from(half)])));
    }
    Ok(SecretString::from(digits.to_string()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn two_passwords_differ() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!(one.expose_secret().len(), 64);
        assert!(one.expose_secret().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one.expose_secret(), other.expose_secret());
    }
}
