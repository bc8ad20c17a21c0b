//! The keys of the ledger. One is current; older ones stay, so that their hashes can still be
//! matched.

use std::fmt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_digest::Digest;
use nexus_fs::files;
use nexus_fs::new_file::{self, sync_directory};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The credential with the keys, one per line, the current one first.
const CREDENTIAL: &str = "ledger_key";

/// The fewest characters of a key. nexus-setup generates 43, which encode 256 bits.
const SHORTEST: usize = 32;

/// The id of a key: the first 8 hexadecimal digits of a MAC made with it. It reveals nothing of the
/// key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key with its id.
#[derive(Clone, Debug)]
pub struct Key {
    id: KeyId,
    secret: SecretString,
}

impl Key {
    /// Creates a key from a secret.
    pub fn new(secret: SecretString) -> Self {
        let mut id = mac(&secret, "key", b"").to_string();
        id.truncate(8);
        Self { id: KeyId(id), secret }
    }

    /// Returns the id.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Returns the HMAC-SHA-256 of `text`. `purpose` makes the hashes of an id, a tag and an agent
    /// with the same text differ.
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

/// All keys of a ledger. The first is the current one, used for new lines.
#[derive(Clone, Debug)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// Reads credential `ledger_key`.
    ///
    /// # Errors
    /// Those of [`credentials::read`]; Settings (78) when it contains no key.
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

    /// Returns the path of the credential.
    pub fn path() -> PathBuf {
        credentials::path_of(CREDENTIAL)
    }

    /// Reads the keys of a file beside the credential; `None` if that file does not exist.
    pub(super) fn read_from(path: &Path) -> Result<Option<Self>> {
        let doing = || format!("reading {}", path.display());
        let Some(text) = files::read_to_string(path).if_there(doing)? else { return Ok(None) };
        Self::parse(SecretString::from(text).expose_secret())
            .map(Some)
            .map_err(|why| Failure::new(Exit::Data, doing()).because(why))
    }

    /// Writes the keys to a file beside the credential.
    pub(super) fn write_to(&self, path: &Path) -> Result<()> {
        new_file::write(path, self.to_text().expose_secret().as_bytes())?;
        sync_directory(path.parent().unwrap_or(Path::new("/")))
    }

    /// Parses keys, one per line, the current one first.
    ///
    /// # Errors
    /// The cause, which never quotes a key.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() {
                continue;
            }
            if line.len() < SHORTEST {
                return Err(format!(
                    "line {} is not a key: a key has at least {SHORTEST} characters",
                    number + 1
                ));
            }
            let key = Key::new(SecretString::from(line.to_owned()));
            if keys.iter().all(|known| known.id != key.id) {
                keys.push(key);
            }
        }
        if keys.is_empty() { Err("it contains no key".to_owned()) } else { Ok(Self(keys)) }
    }

    /// Writes the keys in the format of [`Self::parse`]. The text is secret.
    pub fn to_text(&self) -> SecretString {
        let lines: String = self.0.iter().map(|key| key.secret.expose_secret().to_owned() + "\n").collect();
        SecretString::from(lines)
    }

    /// Returns the current key.
    pub fn current(&self) -> &Key {
        &self.0[0]
    }

    /// Returns the key with this id.
    pub fn find(&self, id: &KeyId) -> Option<&Key> {
        self.0.iter().find(|key| key.id == *id)
    }

    /// Returns these keys, followed by those of `others` that are not among them.
    #[must_use]
    pub fn with(&self, others: &Self) -> Self {
        let mut keys = self.0.clone();
        keys.extend(others.0.iter().filter(|other| self.find(&other.id).is_none()).cloned());
        Self(keys)
    }

    /// Returns whether both are the same keys in the same order.
    pub fn are(&self, others: &Self) -> bool {
        self.0.iter().map(Key::id).eq(others.0.iter().map(Key::id))
    }

    /// Returns whether these keys include all of `others`.
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
    fn a_hash_has_the_known_value_and_depends_on_the_purpose() {
        // printf 'id\nx' | openssl dgst -sha256 -hmac aaa… (43 times)
        let keys = for_tests('a');
        let id = keys.current().hash("id", b"x");
        assert_eq!(id.to_string(), "3029bcb4e39152fbf2df7fbc4dcc1134ea4189571819d6864356b855a9600a60");
        assert_ne!(id, keys.current().hash("tag", b"x"));
        assert_ne!(id, for_tests('b').current().hash("id", b"x"));
    }

    #[test]
    fn keys_survive_a_round_trip_and_the_first_stays_current() {
        let both = for_tests('a').with(&for_tests('b')).with(&for_tests('a'));
        let again = Keys::parse(both.to_text().expose_secret()).unwrap();
        assert_eq!(again.0.len(), 2);
        assert_eq!(again.current().id(), for_tests('a').current().id());
        assert!(again.contain(&for_tests('b')) && !for_tests('a').contain(&again));
    }

    #[test]
    fn a_short_key_is_refused_without_being_shown() {
        let why = Keys::parse("tooshort").unwrap_err();
        assert!(why.starts_with("line 1 is not a key") && !why.contains("tooshort"));
        assert!(Keys::parse("\n\n").is_err());
    }
}
