//! Copies a stream in large pieces.

use std::io::{self, ErrorKind, Read};

/// Reads `from` to its end and passes the bytes to `write`, at most `size` at a time.
///
/// # Errors
/// The first error of `from` or of `write`.
pub fn pump(
    from: &mut (impl Read + ?Sized),
    size: usize,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(got) => write(&buffer[..got])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that returns these results in order.
    struct Source(Vec<io::Result<&'static [u8]>>);

    impl Read for Source {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.remove(0).and_then(|mut piece| piece.read(buffer))
        }
    }

    #[test]
    fn an_interrupted_read_is_repeated_and_another_error_ends_the_copy() {
        let interrupted = || Err(ErrorKind::Interrupted.into());
        let mut source = Source(vec![
            Ok(b"one"),
            interrupted(),
            Ok(b"two"),
            Err(ErrorKind::BrokenPipe.into()),
            Ok(b"three"),
        ]);
        let mut copy = Vec::new();
        let error = pump(&mut source, 8, |piece| {
            copy.extend_from_slice(piece);
            Ok(())
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(copy, b"onetwo");
    }

    #[test]
    fn a_failed_write_ends_the_copy() {
        let mut from: &[u8] = b"abcdef";
        let error =
            pump(
                &mut from,
                2,
                |piece| if piece == b"cd" { Err(ErrorKind::StorageFull.into()) } else { Ok(()) },
            );
        assert_eq!(error.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(from, b"ef");
    }
}
