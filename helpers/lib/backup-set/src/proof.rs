//! Proofs, the results of restore tests: `proofs/000042.json`. nexus-restore-test writes them;
//! rotation, the list and the health check read them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nexus_cli::failure::{Exit, OrFail, OrFailIo, Result};
use nexus_digest::Digest;
use nexus_docker_client::protocol::Scratch;
use nexus_fs::files;
use nexus_postgres::recall::Searched;
use nexus_rdb::Summary;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::name::SetName;

nexus_cli::path_setting! {
    /// Directory of the proofs that nexus-restore-test writes
    ProofsDir: "proofs_dir", --"proofs-dir", "NEXUS_PROOFS_DIR", "DIRECTORY", "/var/lib/nexus/proofs"
}

/// The format that this code writes.
pub const FORMAT: u32 = 1;

/// The maximum size of a proof in bytes.
const LARGEST: u64 = 64 << 20;

/// The result of a restore test. Its JSON is the proof.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The time of the set's snapshot.
    pub taken: Timestamp,
    /// The version of NEXUS that tested it.
    pub nexus_version: String,
    /// Why the set is not proven, if it is not.
    pub failure: Option<String>,
    /// The `server_version` of the throwaway server.
    pub server_version: Option<String>,
    /// The image of the throwaway server.
    pub image: Option<Scratch>,
    /// The extensions in it and their versions.
    pub extensions: BTreeMap<String, String>,
    /// The contents of every table, which agree with the manifest.
    pub tables: Vec<TableDigest>,
    /// The numbers of other objects that were compared or checked: sequences, views, policies,
    /// constraints …
    pub counts: BTreeMap<String, u64>,
    /// The measurements of each vector index.
    pub searches: Vec<Searched>,
    /// The contents of Redis after it loaded the snapshot, which agree with the snapshot; `None`
    /// for a set without one.
    pub redis: Option<Summary>,
    /// Notes for people.
    pub notes: Vec<String>,
    /// The duration of each step.
    pub steps: Vec<Step>,
    /// The microseconds of all steps.
    pub usec: u64,
}

/// The part of a proof that rotation, the list and the health check need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// [`FORMAT`].
    pub format: u32,
    /// The name of the set, with its time: the number alone is not unique across machines.
    pub set: String,
    /// Whether everything that was restored equals what was backed up.
    pub proven: bool,
    /// The time of the result.
    pub at: Timestamp,
}

/// The contents of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDigest {
    /// Schema.
    pub schema: String,
    /// Name.
    pub table: String,
    /// Rows.
    pub rows: u64,
    /// The SHA-256 of its COPY stream.
    pub sha256: Digest,
    /// The root through which this partition's rows were loaded, if any. Rows and digest are then
    /// those of the set, because all partitions of the root were compared together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
}

/// A step and its duration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The name of the step.
    pub name: String,
    /// Microseconds.
    pub usec: u64,
}

impl Proof {
    /// Creates a proof of a set whose test has not run: not proven.
    pub fn of(set: SetName, taken: Timestamp) -> Self {
        Self {
            verdict: Verdict { format: FORMAT, set: set.to_string(), proven: false, at: Timestamp::now() },
            taken,
            nexus_version: env!("CARGO_PKG_VERSION").to_owned(),
            failure: None,
            server_version: None,
            image: None,
            extensions: BTreeMap::new(),
            tables: Vec::new(),
            counts: BTreeMap::new(),
            searches: Vec::new(),
            redis: None,
            notes: Vec::new(),
            steps: Vec::new(),
            usec: 0,
        }
    }

    /// Writes the proof atomically and syncs it to disk.
    ///
    /// # Errors
    /// I/O (74), CannotCreate (73) on a full disk, Permission (77).
    pub fn write(&self, proofs: &Path, set: SetName) -> Result<PathBuf> {
        let path = free_path_of(proofs, set)?;
        let doing = || format!("writing the proof {}", path.display());
        let json = serde_json::to_vec_pretty(self).or_fail(Exit::Software, doing)?;
        files::replace_on_disk(&path, &json, 0o640).or_fail_io(doing).map(|()| path)
    }
}

/// Returns the usual path of a set's proof.
pub fn path_of(proofs: &Path, set: SetName) -> PathBuf {
    proofs.join(format!("{:06}.json", set.sequence))
}

/// Returns the path if another set with the same number already has a proof, for example one of
/// another machine.
fn whole_path_of(proofs: &Path, set: SetName) -> PathBuf {
    proofs.join(format!("{set}.json"))
}

/// Returns a path for the proof of `set` that does not replace another set's.
fn free_path_of(proofs: &Path, set: SetName) -> Result<PathBuf> {
    let path = path_of(proofs, set);
    let is_others = match read_at::<Verdict>(&path) {
        Ok(verdict) => verdict.is_some_and(|verdict| verdict.set != set.to_string()),
        // A damaged proof is replaced.
        Err(failure) if failure.exit() == Exit::Data => false,
        Err(failure) => return Err(failure),
    };
    Ok(if is_others { whole_path_of(proofs, set) } else { path })
}

/// Reads the verdict of a set, if it has a proof.
///
/// # Errors
/// I/O; Data (65) for a malformed proof.
pub fn read(proofs: &Path, set: SetName) -> Result<Option<Verdict>> {
    read_as(proofs, set, |verdict: &Verdict| &verdict.set)
}

/// The tables of a proof.
#[derive(Deserialize)]
struct Tables {
    set: String,
    #[serde(default)]
    tables: Vec<TableDigest>,
}

/// Reads the tables of a set's proof; empty if it lists none.
///
/// # Errors
/// Those of [`read`].
pub fn tables(proofs: &Path, set: SetName) -> Result<Vec<TableDigest>> {
    Ok(read_as(proofs, set, |tables: &Tables| &tables.set)?.map(|tables| tables.tables).unwrap_or_default())
}

fn read_as<T: DeserializeOwned>(
    proofs: &Path,
    set: SetName,
    name: impl Fn(&T) -> &String,
) -> Result<Option<T>> {
    for path in [path_of(proofs, set), whole_path_of(proofs, set)] {
        if let Some(proof) = read_at::<T>(&path)?.filter(|proof| *name(proof) == set.to_string()) {
            return Ok(Some(proof));
        }
    }
    Ok(None)
}

fn read_at<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let doing = || format!("reading the proof {}", path.display());
    let Some(file) = files::open(path).if_there(doing)? else { return Ok(None) };
    serde_json::from_reader(BufReader::new(file.take(LARGEST)))
        .or_fail(Exit::Data, doing)
        .map(Some)
        .map_err(|failure| failure.advise("Remove it and run: systemctl start nexus-restore-test"))
}

/// Returns those of `sets` that a restore has proven.
///
/// # Errors
/// Those of [`read`]: rotation must not mistake a damaged proof for a missing one.
pub fn proven(proofs: &Path, sets: &[SetName]) -> Result<BTreeSet<SetName>> {
    let mut proven = BTreeSet::new();
    for set in sets {
        if read(proofs, *set)?.is_some_and(|verdict| verdict.proven) {
            proven.insert(*set);
        }
    }
    Ok(proven)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> SetName {
        "000042-20261122T030012Z".parse().unwrap()
    }

    fn proof(proven: bool) -> Proof {
        let mut proof = Proof::of(set(), set().taken);
        proof.verdict.proven = proven;
        proof
    }

    #[test]
    fn a_proof_counts_for_its_own_set_only_and_a_damaged_one_is_an_error() {
        let proofs = tempfile::tempdir().unwrap();
        let found = || proven(proofs.path(), &[set()]).map(|sets| sets.len());
        assert_eq!(found().unwrap(), 0);
        let path = proof(true).write(proofs.path(), set()).unwrap();
        assert_eq!(found().unwrap(), 1);
        let other = std::fs::read_to_string(&path).unwrap().replace("20261122T03", "20251122T03");
        std::fs::write(&path, other).unwrap();
        assert_eq!(found().unwrap(), 0);
        proof(false).write(proofs.path(), set()).unwrap();
        assert_eq!(found().unwrap(), 0);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(found().unwrap_err().exit(), Exit::Data);
    }

    #[test]
    fn the_proof_of_another_set_with_the_same_number_stays() {
        let proofs = tempfile::tempdir().unwrap();
        let first = proof(true).write(proofs.path(), set()).unwrap();
        let before = std::fs::read(&first).unwrap();
        let other: SetName = "000042-20271122T030012Z".parse().unwrap();
        let mut of_other = Proof::of(other, other.taken);
        for proven in [true, false] {
            of_other.verdict.proven = proven;
            of_other.write(proofs.path(), other).unwrap();
            assert_eq!(std::fs::read(&first).unwrap(), before);
            assert_eq!(read(proofs.path(), other).unwrap(), Some(of_other.verdict.clone()));
        }
        assert_eq!(proven(proofs.path(), &[set(), other]).unwrap(), BTreeSet::from([set()]));
    }

    #[test]
    fn a_proof_that_cannot_be_written_leaves_the_old_one() {
        let proofs = tempfile::tempdir().unwrap();
        let before = proof(true);
        let path = before.write(proofs.path(), set()).unwrap();
        // A directory at the temporary name.
        std::fs::create_dir(path.with_extension("json.partial")).unwrap();
        assert!(proof(false).write(proofs.path(), set()).is_err());
        assert_eq!(read(proofs.path(), set()).unwrap(), Some(before.verdict));
    }
}
