//! Memory-mapped files.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use memmap2::{Advice, Mmap};
use nexus_cli::failure::{OrFailIo, Result};

/// The bytes of a file. The kernel reads them on access, and may drop them when memory is scarce.
#[derive(Debug)]
pub struct MappedFile(Mmap);

impl MappedFile {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// Permission (77) or I/O (74).
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).or_fail_io(|| format!("opening {}", path.display()))?;
        // SAFETY: nothing changes the file while it is mapped: nexus-setup renames a complete
        // folder into place, never over an existing one, and the unit's user may not write to it.
        // If the file is truncated nevertheless, SIGBUS ends this process; systemd starts it again,
        // and it refuses the file.
        let map = unsafe { Mmap::map(&file) }.or_fail_io(|| format!("mapping {}", path.display()))?;
        // The whole file is hashed next. This is only a hint, so an error does not matter.
        let _ignored: std::io::Result<()> = map.advise(Advice::WillNeed);
        Ok(Self(map))
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
