//! A file as memory.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use memmap2::{Advice, Mmap};
use nexus_cli::failure::{OrFailIo, Result};

/// The bytes of a file, read as they are needed, and given back to others when memory is scarce.
#[derive(Debug)]
pub struct MappedFile(Mmap);

impl MappedFile {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// Permission (77) or I/O (74), naming the file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).or_fail_io(|| format!("opening {}", path.display()))?;
        // SAFETY: nobody changes the file while it is mapped: nexus-setup puts a model's folder in its place by renaming, under
        // another name where there is one, and the unit's user may not write to it. Whoever cuts it short nevertheless ends
        // this process by SIGBUS; systemd starts it again, and then the file is refused.
        let map = unsafe { Mmap::map(&file) }.or_fail_io(|| format!("mapping {}", path.display()))?;
        // It is hashed at once from beginning to end; that is a wish, which the kernel may pass over.
        let _passed_over: std::io::Result<()> = map.advise(Advice::WillNeed);
        Ok(Self(map))
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
