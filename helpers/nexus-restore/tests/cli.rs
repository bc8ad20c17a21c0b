//! What nexus-restore says and with which exit code it ends: golden files in tests/cli/nexus-restore, run in a directory
//! with sets that are made here. `TRYCMD=overwrite cargo test -p nexus-restore --test cli` writes them anew.

mod fixture;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the golden files are kept; those in `bare` run where there are no credentials.
const GOLDEN: &str = "../../tests/cli/nexus-restore";

/// Copies of the golden files, in the directory that their commands run in: the copy and what it is a copy of.
struct Copies(Vec<(PathBuf, PathBuf)>);

impl Copies {
    fn into(home: &Path) -> Result<Self, Box<dyn Error>> {
        let mut pairs = Vec::new();
        for below in ["", "bare"] {
            for entry in fs::read_dir(Path::new(GOLDEN).join(below))? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    let copy = home.join(below).join(entry.file_name());
                    fs::copy(entry.path(), &copy)?;
                    pairs.push((copy, entry.path()));
                }
            }
        }
        Ok(Self(pairs))
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        if std::env::var_os("TRYCMD").is_some_and(|how| how == "overwrite") {
            for (copy, kept) in &self.0 {
                let _copied = fs::copy(copy, kept);
            }
        }
    }
}

#[test]
fn golden_files() -> Result<(), Box<dyn Error>> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nexus-restore-cli");
    let _none_of_an_earlier_run = fs::remove_dir_all(&home);
    fixture::make(&home)?;
    let copies = Copies::into(&home)?;
    assert!(!copies.0.is_empty());
    // The commands inherit it; there is no other test in this process.
    std::env::set_current_dir(&home)?;
    // What is set here goes before what a command line of a golden file sets: hence two runs.
    for (credentials, golden) in [("credentials", "*.trycmd"), ("bare", "bare/*.trycmd")] {
        trycmd::TestCases::new()
            .env("NEXUS_SETTINGS", "/dev/null")
            .env("NEXUS_BACKUP_DIR", "backups")
            .env("NEXUS_PROOFS_DIR", "proofs")
            .env("NEXUS_CREDENTIALS", credentials)
            .env("NEXUS_PG_HOST", "/no/server")
            .env("NEXUS_DOCKER_SOCKET", "/no/docker.sock")
            .case(home.join(golden))
            .run();
    }
    Ok(())
}
