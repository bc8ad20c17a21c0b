//! Writes a file of a set through zstd and age to disk. The file is hashed, synced and read back.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use age::Encryptor;
use age::stream::StreamWriter;
use age::x25519::Recipient;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_fs::new_file::{NewFile, Stored};

/// A writer of an encrypted file, which compresses if asked.
pub struct EncryptedWriter {
    path: PathBuf,
    chain: Chain,
}

enum Chain {
    Compressed(Box<zstd::Encoder<'static, StreamWriter<NewFile>>>),
    Plain(Box<StreamWriter<NewFile>>),
}

impl EncryptedWriter {
    /// Creates `path`, encrypted to every recipient. With `zstd_level`, compresses first.
    ///
    /// # Errors
    /// Those of [`NewFile::create`].
    pub fn create(path: &Path, recipients: &[Recipient], zstd_level: Option<i32>) -> Result<Self> {
        let doing = || format!("encrypting {}", path.display());
        let encryptor = Encryptor::with_recipients(recipients.iter().map(|r| r as &dyn age::Recipient))
            .map_err(|e| Failure::new(Exit::Settings, doing()).because(e))?;
        let writer = encryptor.wrap_output(NewFile::create(path)?).or_fail_io(doing)?;
        let chain = match zstd_level {
            None => Chain::Plain(Box::new(writer)),
            Some(level) => {
                let mut encoder = zstd::Encoder::new(writer, level).or_fail_io(doing)?;
                // `zstd -t` can then detect damage. Its cost is negligible beside the compression.
                encoder.include_checksum(true).or_fail_io(doing)?;
                Chain::Compressed(Box::new(encoder))
            }
        };
        Ok(Self { path: path.to_owned(), chain })
    }

    /// Completes the file. Without this it is truncated.
    ///
    /// # Errors
    /// Those of [`NewFile::finish`].
    pub fn finish(self) -> Result<Stored> {
        let doing = || format!("writing {}", self.path.display());
        let writer = match self.chain {
            Chain::Compressed(encoder) => encoder.finish().or_fail_io(doing)?,
            Chain::Plain(writer) => *writer,
        };
        writer.finish().or_fail_io(doing)?.finish()
    }
}

impl Write for EncryptedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.chain {
            Chain::Compressed(encoder) => encoder.write(bytes),
            Chain::Plain(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.chain {
            Chain::Compressed(encoder) => encoder.flush(),
            Chain::Plain(writer) => writer.flush(),
        }
    }
}
