//! The mounts that this process sees (proc_pid_mountinfo(5)).
//!
//! A user who may mount, for example by FUSE, can make the list long, and choose paths of any bytes.
//! So the list is read line by line.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The longest line that is read, in bytes. A line has three paths at most, each of which may take
/// 16 KiB with its escapes.
const LONGEST: u64 = 64 << 10;

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The directory where it is.
    pub point: PathBuf,
    /// What is mounted, for example `/dev/sdb1`.
    pub source: String,
}

/// Returns the mounts, in the order in which they were made.
///
/// # Errors
/// When the list cannot be opened. An error while it is read ends the iteration.
pub fn mounts() -> io::Result<impl Iterator<Item = Mount>> {
    let list = BufReader::new(File::open("/proc/self/mountinfo")?);
    Ok(lines(list).filter_map(|line| Mount::parse(&line)))
}

impl Mount {
    /// Parses a line of the list; returns `None` for another one.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let point = PathBuf::from(OsString::from_vec(unescaped(fields.nth(4)?)));
        // Optional fields end with a dash; the type and the source follow.
        let source = fields.skip_while(|field| *field != b"-").nth(2)?;
        Some(Self { point, source: String::from_utf8_lossy(&unescaped(source)).into_owned() })
    }
}

/// Decodes the kernel's escapes: a backslash and three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = escaped.filter(|_| first == b'\\') {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    bytes
}

/// Returns the lines without their ends, except those that are too long.
fn lines(mut list: impl BufRead) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || next(&mut list).ok().flatten())
}

fn next(list: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    loop {
        let mut line = Vec::new();
        list.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop_if(|last| *last == b'\n').is_some() || (line.len() as u64) < LONGEST {
            return Ok(Some(line));
        }
        list.skip_until(b'\n')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_point_and_a_source() {
        let mount = |line: &str| Mount::parse(line.as_bytes());
        let expected = |point: &str, source: &str| {
            Some(Mount { point: PathBuf::from(point), source: source.to_owned() })
        };
        assert_eq!(
            mount("36 35 98:0 /mnt1 /mnt/a\\040b\\134 rw,noatime master:1 shared:2 - ext3 /dev/root rw"),
            expected("/mnt/a b\\", "/dev/root")
        );
        assert_eq!(mount("36 35 98:0 / / rw - ext3 /dev/sda1 rw"), expected("/", "/dev/sda1"));
        assert_eq!(mount("36 35 98:0 / /x rw"), None);
        assert_eq!(mount(""), None);
        assert_eq!(unescaped(br"\04\\777\x"), br"\04\\777\x");
    }

    #[test]
    fn a_point_may_have_any_bytes() {
        let mount = Mount::parse(b"36 35 98:0 / /mnt/\xff rw - fuse x rw").unwrap();
        assert_eq!(mount.point.into_os_string().into_vec(), b"/mnt/\xff");
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out() {
        let long = "x".repeat(usize::try_from(LONGEST).unwrap());
        let text = format!("a\n{long}\n{}\n\nb", &long[1..]);
        let lengths: Vec<_> = lines(text.as_bytes()).map(|line| line.len()).collect();
        assert_eq!(lengths, [1, long.len() - 1, 0, 1]);
    }

    #[test]
    fn this_machine_has_a_root() {
        assert!(mounts().unwrap().any(|mount| mount.point.as_os_str() == "/"));
    }
}
