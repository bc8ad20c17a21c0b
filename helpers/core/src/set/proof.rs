//! Which sets a restore has proven: `proofs/000042.json`, which nexus-restore-test writes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::{Exit, OrFail, OrFailIo, Result};
use crate::set::name::SetName;

/// The largest proof that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// What rotation needs of a proof.
#[derive(Deserialize)]
struct Verdict {
    /// Name of the set, with its time: a sequence number that was used twice proves nothing.
    set: String,
    proven: bool,
}

/// Where the proof of a set is.
pub fn path_of(proofs: &Path, set: SetName) -> PathBuf {
    proofs.join(format!("{:06}.json", set.sequence))
}

/// Those of `sets` that a restore has proven.
///
/// # Errors
/// I/O, or Data (65) for a proof that cannot be understood: whoever removes sets must not take it for none.
pub fn proven(proofs: &Path, sets: &[SetName]) -> Result<BTreeSet<SetName>> {
    let mut proven = BTreeSet::new();
    for set in sets {
        let path = path_of(proofs, *set);
        let doing = || format!("reading the proof {}", path.display());
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other.or_fail_io(doing)?,
        };
        let verdict: Verdict = serde_json::from_reader(BufReader::new(file.take(LARGEST)))
            .or_fail(Exit::Data, doing)
            .map_err(|failure| failure.advise("Remove it and run: systemctl start nexus-restore-test"))?;
        if verdict.proven && verdict.set == set.to_string() {
            proven.insert(*set);
        }
    }
    Ok(proven)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_counts_for_its_own_set_only_and_a_damaged_one_is_no_silence() {
        let proofs = tempfile::tempdir().unwrap();
        let set: SetName = "000042-20261122T030012Z".parse().unwrap();
        let found = || proven(proofs.path(), &[set]).map(|sets| sets.len());
        assert_eq!(found().unwrap(), 0);
        let write = |text: &str| std::fs::write(path_of(proofs.path(), set), text).unwrap();
        write(r#"{"set": "000042-20261122T030012Z", "proven": true, "more": 1}"#);
        assert_eq!(found().unwrap(), 1);
        write(r#"{"set": "000042-20261122T030012Z", "proven": false}"#);
        assert_eq!(found().unwrap(), 0);
        write(r#"{"set": "000042-20251122T030012Z", "proven": true}"#);
        assert_eq!(found().unwrap(), 0);
        write("{");
        assert_eq!(found().unwrap_err().exit(), Exit::Data);
    }
}
