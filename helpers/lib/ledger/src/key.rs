//! The keys of the ledger. One is current; older ones are kept, so that what they hashed can still be found.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_digest::Digest;
use nexus_fs::files;
use nexus_fs::new_file::{NewFile, sync_directory};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The credential that holds the keys, one a line, the current one first.
const CREDENTIAL: &str = "ledger_key";

/// The fewest characters of a key; nexus-setup makes 43, which hold 256 bits.
const SHORTEST: usize = 32;

/// Which key: the first 8 hexadecimal digits of a MAC made with it. It says nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key.
#[derive(Clone, Debug)]
pub struct Key {
    id: KeyId,
    secret: SecretString,
}

impl Key {
    /// The key that `secret` is.
    pub fn new(secret: SecretString) -> Self {
        let mut id = mac(&secret, "key", b"").to_string();
        id.truncate(8);
        Self { id: KeyId(id), secret }
    }

    /// Which one it is.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// HMAC-SHA-256 of `text`. `purpose` keeps an id, a tag and an agent of the same text apart.
    pub fn hash(&self, purpose: &str, text: &[u8]) -> Digest {
        mac(&self.secret, purpose, text)
    }
}

fn mac(secret: &SecretString, purpose: &str, text: &[u8]) -> Digest {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("any length");
    mac.update(purpose.as_bytes());
    mac.update(b"\n");
    mac.update(text);
    Digest::from(<[u8; 32]>::from(mac.finalize().into_bytes()))
}

/// All keys of a ledger; the first is the one that is used for what is new.
#[derive(Clone, Debug)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// Reads credential `ledger_key`.
    ///
    /// # Errors
    /// As [`credentials::read`]; Settings (78) when it holds no key.
    pub fn read() -> Result<Self> {
        Self::parse(credentials::read(CREDENTIAL)?.expose_secret()).map_err(|why| {
            Failure::new(
                Exit::Settings,
                format!("reading credential {}", credentials::path_of(CREDENTIAL).display()),
            )
            .because(why)
            .advise("Put it back from where you keep it, or from a backup set (ledger.key.age)")
        })
    }

    /// Where the credential is.
    pub fn path() -> PathBuf {
        credentials::path_of(CREDENTIAL)
    }

    /// Keys of a file beside the credential; `None` if that file does not exist.
    pub(super) fn read_from(path: &Path) -> Result<Option<Self>> {
        let doing = || format!("reading {}", path.display());
        let text = match files::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => SecretString::from(other.or_fail_io(doing)?),
        };
        Self::parse(text.expose_secret())
            .map(Some)
            .map_err(|why| Failure::new(Exit::Data, doing()).because(why))
    }

    /// Writes them to a file beside the credential.
    pub(super) fn write_to(&self, path: &Path) -> Result<()> {
        let doing = || format!("writing {}", path.display());
        files::remove_if_there(path).or_fail_io(doing)?;
        let mut file = NewFile::create(path)?;
        file.write_all(self.to_text().expose_secret().as_bytes()).or_fail_io(doing)?;
        file.finish()?;
        sync_directory(path.parent().unwrap_or(Path::new("/")))
    }

    /// Keys, one a line, the current one first.
    ///
    /// # Errors
    /// What is wrong; never a key.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() {
                continue;
            }
            if line.len() < SHORTEST {
                return Err(format!(
                    "line {} is no key: a key has {SHORTEST} characters or more",
                    number + 1
                ));
            }
            let key = Key::new(SecretString::from(line.to_owned()));
            if keys.iter().all(|known| known.id != key.id) {
                keys.push(key);
            }
        }
        if keys.is_empty() { Err("it holds no key".to_owned()) } else { Ok(Self(keys)) }
    }

    /// As [`Self::parse`] reads it. A secret.
    pub fn to_text(&self) -> SecretString {
        let lines: String = self.0.iter().map(|key| key.secret.expose_secret().to_owned() + "\n").collect();
        SecretString::from(lines)
    }

    /// The one for what is new.
    pub fn current(&self) -> &Key {
        &self.0[0]
    }

    /// The one called `id`.
    pub fn find(&self, id: &KeyId) -> Option<&Key> {
        self.0.iter().find(|key| key.id == *id)
    }

    /// These, and after them those of `others` that are not among them.
    #[must_use]
    pub fn with(&self, others: &Self) -> Self {
        let mut keys = self.0.clone();
        keys.extend(others.0.iter().filter(|other| self.find(&other.id).is_none()).cloned());
        Self(keys)
    }

    /// Whether these are the same, in the same order.
    pub fn are(&self, others: &Self) -> bool {
        self.0.iter().map(Key::id).eq(others.0.iter().map(Key::id))
    }

    /// Whether all of `others` are among these.
    pub fn contain(&self, others: &Self) -> bool {
        others.0.iter().all(|other| self.find(&other.id).is_some())
    }
}

#[cfg(test)]
pub(super) fn for_tests(seed: char) -> Keys {
    Keys::parse(&seed.to_string().repeat(43)).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_known_one_and_tells_purposes_apart() {
        // printf 'id\nx' | openssl dgst -sha256 -hmac aaa… (43 times)
        let keys = for_tests('a');
        let id = keys.current().hash("id", b"x");
        assert_eq!(id.to_string(), "3029bcb4e39152fbf2df7fbc4dcc1134ea4189571819d6864356b855a9600a60");
        assert_ne!(id, keys.current().hash("tag", b"x"));
        assert_ne!(id, for_tests('b').current().hash("id", b"x"));
    }

    #[test]
    fn keys_come_back_as_they_were_and_the_first_stays_current() {
        let both = for_tests('a').with(&for_tests('b')).with(&for_tests('a'));
        let again = Keys::parse(both.to_text().expose_secret()).unwrap();
        assert_eq!(again.0.len(), 2);
        assert_eq!(again.current().id(), for_tests('a').current().id());
        assert!(again.contain(&for_tests('b')) && !for_tests('a').contain(&again));
    }

    #[test]
    fn a_short_key_is_refused_without_being_shown() {
        let why = Keys::parse("tooshort").unwrap_err();
        assert!(why.starts_with("line 1 is no key") && !why.contains("tooshort"));
        assert!(Keys::parse("\n\n").is_err());
    }
}
