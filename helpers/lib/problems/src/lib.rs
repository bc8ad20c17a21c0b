//! The list of current problems, `problems.json`, which nexus-health writes and nexus-alert reads.

pub mod systemd;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_fs::files;
use serde::{Deserialize, Serialize};

/// The path of the list.
pub const PATH: &str = "/run/nexus/health/problems.json";

/// The version of the list. `read` refuses any other.
pub const VERSION: u32 = 1;

/// The longest list in bytes. `read` reads no more, and `write` writes no more.
const LARGEST: usize = 1 << 20;

/// The longest name of a problem in bytes.
const LONGEST: usize = 64;

/// The level of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The problem becomes critical if nobody acts.
    Warning,
    /// The problem must be fixed now.
    Critical,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// The name of a problem, such as `disk-backups`. It stays the same while the problem lasts. It
/// consists of lower-case letters, digits and hyphens, so it can be a file name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProblemId(String);

impl ProblemId {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProblemId {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let begins_well = text.starts_with(|c: char| c != '-');
        if text.len() <= LONGEST && begins_well && text.chars().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "not the name of a problem; expected 1 to {LONGEST} small letters, digits and -, such as disk-backups"
            ))
        }
    }
}

impl TryFrom<String> for ProblemId {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<ProblemId> for String {
    fn from(id: ProblemId) -> Self {
        id.0
    }
}

impl fmt::Display for ProblemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A problem that nexus-health has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The name.
    pub id: ProblemId,
    /// The level.
    pub level: Level,
    /// What is wrong, for people: "The disk of the backups is 92 % full."
    pub sentence: String,
    /// What to do, for people.
    pub advice: String,
    /// When the problem began.
    pub since: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct List {
    version: u32,
    problems: Vec<Problem>,
}

/// Replaces the list atomically, sorted by name. Of two problems with the same name, it keeps the
/// worse. Returns whether it wrote the list: it does not write an unchanged list, so that no reader
/// is triggered.
///
/// # Errors
/// I/O (74), CannotCreate (73) on a full disk, Permission (77), Software (70) when the list is
/// longer than `read` accepts. The old list stays.
pub fn write(path: &Path, mut problems: Vec<Problem>) -> Result<bool> {
    let doing = || format!("writing the list of problems {}", path.display());
    problems.sort_by(|a, b| a.id.cmp(&b.id).then(b.level.cmp(&a.level)));
    problems.dedup_by(|later, kept| later.id == kept.id);
    let json =
        serde_json::to_vec_pretty(&List { version: VERSION, problems }).or_fail(Exit::Software, doing)?;
    if json.len() > LARGEST {
        return Err(Failure::new(Exit::Software, doing())
            .because(format!("it has {} bytes, and readers accept {LARGEST}", json.len())));
    }
    // An unreadable list is replaced.
    if text_of(path).is_ok_and(|there| there == json) {
        // A killed run may have left a partial file.
        return files::remove_if_there(&files::partial_of(path)).or_fail_io(doing).map(|()| false);
    }
    // Not synced: /run is in memory, and a list from before a crash would be wrong.
    files::replace(path, &json, 0o640).or_fail_io(doing).map(|()| true)
}

/// Reads the list. An empty list means that everything is well.
///
/// # Errors
/// Unavailable (69) when there is no list; Data (65) when it is malformed; I/O.
pub fn read(path: &Path) -> Result<Vec<Problem>> {
    let doing = || format!("reading the list of problems {}", path.display());
    let again = |failure: Failure| {
        failure.advise("Restart nexus-health, which writes it again: systemctl restart nexus-health")
    };
    let missing = || Failure::new(Exit::Unavailable, doing()).because("it does not exist");
    let text = text_of(path).if_there(doing).and_then(|text| text.ok_or_else(missing));
    let list: List =
        serde_json::from_slice(&text.map_err(again)?).or_fail(Exit::Data, doing).map_err(again)?;
    if list.version == VERSION {
        return Ok(list.problems);
    }
    Err(again(
        Failure::new(Exit::Data, doing())
            .because(format!("its version is {} instead of {VERSION}", list.version)),
    ))
}

fn text_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    files::open(path)?.take(LARGEST as u64).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(id: &str, level: Level) -> Problem {
        let since = "2026-11-22T03:00:12Z".parse().unwrap();
        let sentence = "The disk of the backups is 92 % full.".to_owned();
        Problem { id: id.parse().unwrap(), level, sentence, advice: "Free some space".to_owned(), since }
    }

    #[test]
    fn the_list_has_the_documented_form() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("problems.json");
        write(&path, vec![problem("disk-backups", Level::Warning)]).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let expected = serde_json::json!({"version": 1, "problems": [{
            "id": "disk-backups", "level": "warning", "sentence": "The disk of the backups is 92 % full.",
            "advice": "Free some space", "since": "2026-11-22T03:00:12Z"}]});
        assert_eq!(written, expected);
    }

    #[test]
    fn the_list_is_sorted_and_keeps_the_worse_of_two() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("problems.json");
        let (a, b) = (problem("a", Level::Warning), problem("b", Level::Critical));
        let given = vec![b.clone(), problem("b", Level::Warning), a.clone(), b.clone()];
        assert!(write(&path, given).unwrap());
        assert_eq!(read(&path).unwrap(), [a, b]);
    }

    #[test]
    fn an_unchanged_list_is_not_written_and_a_damaged_one_is_replaced() {
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("problems.json");
        let list = || vec![problem("a", Level::Warning)];
        assert!(write(&path, list()).unwrap());
        let before = std::fs::metadata(&path).unwrap().ino();
        assert!(!write(&path, list()).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), before);
        std::fs::write(&path, "{").unwrap();
        assert!(write(&path, list()).unwrap());
        assert_eq!(read(&path).unwrap(), list());
    }

    #[test]
    fn a_partial_file_is_removed_even_if_the_list_is_unchanged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("problems.json");
        write(&path, Vec::new()).unwrap();
        let partial = path.with_extension("json.partial");
        std::fs::write(&partial, "{").unwrap();
        assert!(!write(&path, Vec::new()).unwrap());
        assert!(!partial.exists());
    }

    #[test]
    fn a_missing_or_damaged_list_is_not_an_empty_list() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("problems.json");
        assert_eq!(read(&path).unwrap_err().exit(), Exit::Unavailable);
        for damaged in [
            "",
            "{",
            "[]",
            r#"{"version":2,"problems":[]}"#,
            r#"{"version":1,"problems":[{"id":"../x","level":"warning","sentence":"","advice":"","since":"2026-11-22T03:00:12Z"}]}"#,
        ] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(read(&path).unwrap_err().exit(), Exit::Data, "{damaged}");
        }
        write(&path, Vec::new()).unwrap();
        assert_eq!(read(&path).unwrap(), []);
    }

    #[test]
    fn a_list_that_cannot_be_written_leaves_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("problems.json");
        write(&path, vec![problem("a", Level::Warning)]).unwrap();
        // A directory at the temporary name.
        std::fs::create_dir(path.with_extension("json.partial")).unwrap();
        assert!(write(&path, Vec::new()).is_err());
        assert_eq!(read(&path).unwrap(), [problem("a", Level::Warning)]);
    }

    #[test]
    fn a_list_that_readers_would_not_accept_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("problems.json");
        let long = |bytes| vec![Problem { sentence: "x".repeat(bytes), ..problem("a", Level::Warning) }];
        assert!(write(&path, long(LARGEST - 1000)).unwrap());
        assert_eq!(read(&path).unwrap(), long(LARGEST - 1000));
        assert_eq!(write(&path, long(LARGEST)).unwrap_err().exit(), Exit::Software);
        assert_eq!(read(&path).unwrap(), long(LARGEST - 1000));
    }

    proptest! {
        #[test]
        fn no_name_is_a_path(text in "\\PC{0,80}") {
            if let Ok(id) = text.parse::<ProblemId>() {
                prop_assert!(!id.as_str().contains(['/', '.']) && !id.as_str().is_empty());
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
