//! SHA256SUMS: one line per file, in the format of sha256sum(1).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_digest::Digest;
use nexus_fs::files;

use crate::CHECKSUMS;

/// The longest checksum file, in bytes: about 80,000 files.
const LONGEST: u64 = 8 << 20;

/// The digests by path, relative to the set's directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums(pub BTreeMap<String, Digest>);

impl Checksums {
    /// Reads the checksums of a set.
    ///
    /// # Errors
    /// Data (65) for a line that sha256sum would not write, or a name that leaves the directory;
    /// I/O.
    pub fn read(set: &Path) -> Result<Self> {
        let path = set.join(CHECKSUMS);
        let doing = || format!("reading {}", path.display());
        let damaged = |why: String| {
            Failure::new(Exit::Data, doing()).because(why).advise("The set is damaged: use another one")
        };
        let file = match files::open_plain(&path) {
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(damaged(error.to_string())),
            opened => opened.or_fail_io(doing)?,
        };
        Self::parse(file.take(LONGEST)).map_err(damaged)
    }

    /// Parses the text of a checksum file.
    ///
    /// # Errors
    /// The cause, with the number of the line.
    pub fn parse(text: impl Read) -> std::result::Result<Self, String> {
        let mut sums = BTreeMap::new();
        let mut text = BufReader::new(text);
        let mut whole_line = String::new();
        for number in 1.. {
            whole_line.clear();
            if text.read_line(&mut whole_line).map_err(|e| format!("line {number}: {e}"))? == 0 {
                break;
            }
            let line = whole_line.strip_suffix('\n').ok_or(format!("line {number} is cut off"))?;
            let (digest, name) =
                line.split_once("  ").ok_or(format!("line {number} does not have two columns"))?;
            let digest = digest.parse().map_err(|e| format!("line {number}: {e}"))?;
            if !is_plain(name) {
                return Err(format!("line {number} contains a name that no set may have"));
            }
            if sums.insert(name.to_owned(), digest).is_some() {
                return Err(format!("line {number} repeats a name"));
            }
        }
        if sums.is_empty() { Err("it is empty".to_owned()) } else { Ok(Self(sums)) }
    }

    /// Returns the text of the file.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, digest) in &self.0 {
            text.push_str(&format!("{digest}  {name}\n"));
        }
        text
    }
}

/// Returns whether a set may contain `name`: relative, no `..`, nothing hidden, plain characters.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && name.split('/').count() <= 2
        && name.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_leave_the_set_are_refused() {
        for name in ["../x", "/etc/passwd", "data/../x", ".hidden", "a//b", "a/b/c", "a b", ""] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(is_plain("data/0001.copy.zst.age"));
    }

    #[test]
    fn a_text_without_its_last_byte_is_refused() {
        let sums = Checksums([("a".to_owned(), Digest::of(b"a"))].into());
        let text = sums.to_text();
        let why = Checksums::parse(text.trim_end().as_bytes()).unwrap_err();
        assert_eq!(why, "line 1 is cut off");
        assert!(Checksums::parse(text.replace('\n', "\r\n").as_bytes()).is_err());
    }

    #[test]
    fn a_link_is_refused_as_checksum_file() {
        let set = tempfile::tempdir().unwrap();
        let elsewhere = set.path().join("elsewhere");
        fs::write(&elsewhere, Checksums([("a".to_owned(), Digest::of(b"a"))].into()).to_text()).unwrap();
        std::os::unix::fs::symlink(&elsewhere, set.path().join(CHECKSUMS)).unwrap();
        assert_eq!(Checksums::read(set.path()).unwrap_err().exit(), Exit::Data);
    }

    proptest! {
        #[test]
        fn checksums_survive_a_round_trip(names in prop::collection::btree_set("[a-z0-9]{1,8}(/[a-z0-9.]{1,8})?", 1..20)) {
            let names: Vec<_> = names.into_iter().filter(|n| is_plain(n)).collect();
            prop_assume!(!names.is_empty());
            let sums = Checksums(names.iter().map(|n| (n.clone(), Digest::of(n.as_bytes()))).collect());
            prop_assert_eq!(Checksums::parse(sums.to_text().as_bytes()), Ok(sums));
        }

        #[test]
        fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _either = Checksums::parse(bytes.as_slice());
        }
    }
}
