//! The output and exit codes of nexus-restore: golden files in tests/cli/nexus-restore, run in a directory with sets that this
//! test makes. `TRYCMD=overwrite cargo test -p nexus-restore --test cli` writes them again.

mod fixture;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The directory of the golden files. Those in `bare` run without credentials.
const GOLDEN: &str = "../../tests/cli/nexus-restore";

/// Copies of the golden files in the directory where their commands run: each copy with its original.
struct Copies(Vec<(PathBuf, PathBuf)>);

impl Copies {
    fn into(home: &Path) -> Result<Self, Box<dyn Error>> {
        let mut pairs = Vec::new();
        // Absolute, because the test changes its directory.
        let golden = fs::canonicalize(GOLDEN)?;
        for below in ["", "bare"] {
            for entry in fs::read_dir(golden.join(below))? {
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
                if let Err(error) = fs::copy(copy, kept) {
                    eprintln!("cannot write {}: {error}", kept.display());
                }
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
    // The commands inherit it. No other test runs in this process.
    std::env::set_current_dir(&home)?;
    // A variable set here overrides a golden file's own, hence two runs.
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
