//! `model.safetensors`: the length of the header in eight bytes, the header in JSON, then the
//! numbers. <https://huggingface.co/docs/safetensors/index>, section "Format"

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::counted;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::machine::Rows;
use crate::machine::map::MappedFile;

/// The longest header, in bytes. A model has some hundred tensors, with one line each.
const LONGEST_HEADER: usize = 4 << 20;

/// A file of weights.
#[derive(Debug)]
pub struct Weights {
    file: Arc<MappedFile>,
    entries: BTreeMap<String, Entry>,
    /// The path, for messages.
    path: String,
}

/// A tensor of 32-bit numbers.
#[derive(Clone, Debug)]
pub struct Tensor {
    numbers: Numbers,
    width: usize,
}

#[derive(Clone, Debug)]
enum Numbers {
    /// A range of the file.
    Mapped(Arc<MappedFile>, Range<usize>),
    /// A copy, because the range is misaligned, or this machine is big-endian.
    Copied(Arc<[f32]>),
}

/// A tensor in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    /// Its range of the file.
    range: Range<usize>,
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl Weights {
    /// Maps the file and reads its header.
    ///
    /// # Errors
    /// Data (65) if it is not such a file or is truncated; otherwise same as [`MappedFile::open`].
    pub fn open(path: &Path) -> Result<Self> {
        let file = MappedFile::open(path)?;
        let name = path.display().to_string();
        let entries = header(&file).map_err(|why| damaged(&name, why))?;
        Ok(Self { file: Arc::new(file), entries, path: name })
    }

    /// Returns the SHA-256 of the file.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&**self.file).into()
    }

    /// Returns the tensor `name`, which must have this shape. Some files prefix all names with
    /// "bert.".
    ///
    /// # Errors
    /// Data (65) if it is missing, or has another type or shape.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let entry = self
            .entries
            .get(name)
            .or_else(|| self.entries.get(&format!("bert.{name}")))
            .ok_or_else(|| damaged(&self.path, format!("the tensor {name} is missing")))?;
        if entry.dtype != "F32" {
            return Err(damaged(
                &self.path,
                format!("{name} has numbers of type {}, only F32 is supported", entry.dtype),
            )
            .advise("Save the model with 32-bit numbers"));
        }
        if entry.shape != shape {
            return Err(damaged(
                &self.path,
                format!("{name} has the shape {:?}, config.json says {shape:?}", entry.shape),
            ));
        }
        let width = shape.last().copied().unwrap_or(1);
        let bytes = &self.file[entry.range.clone()];
        let numbers = if cfg!(target_endian = "little") && bytemuck::try_cast_slice::<u8, f32>(bytes).is_ok()
        {
            Numbers::Mapped(Arc::clone(&self.file), entry.range.clone())
        } else {
            let (numbers, _) = bytes.as_chunks::<4>();
            Numbers::Copied(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        };
        Ok(Tensor { numbers, width })
    }
}

impl Tensor {
    /// Returns the numbers.
    pub fn numbers(&self) -> &[f32] {
        match &self.numbers {
            // The cast succeeded when the tensor was created.
            Numbers::Mapped(file, range) => bytemuck::cast_slice(&file[range.clone()]),
            Numbers::Copied(numbers) => numbers,
        }
    }

    /// Returns the numbers as rows.
    pub fn rows(&self) -> Rows<'_> {
        Rows::dense(self.numbers(), self.width)
    }
}

fn damaged(path: &str, why: impl Into<String>) -> Failure {
    Failure::new(Exit::Data, format!("reading {path}"))
        .because(why.into())
        .advise("Install the model again: nexus-setup --model download, or --model DIR")
}

/// Parses the header of a file.
fn header(bytes: &[u8]) -> std::result::Result<BTreeMap<String, Entry>, String> {
    let short = || format!("it ends after {}, within its header", counted(bytes.len() as u64, "byte"));
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > LONGEST_HEADER {
        return Err("it is not a safetensors file".to_owned());
    }
    let (header, data) = rest.split_at_checked(length).ok_or_else(short)?;
    let header: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(|error| format!("its header: {error}"))?;
    let mut entries = BTreeMap::new();
    for (name, value) in header {
        if name == "__metadata__" {
            continue;
        }
        let RawEntry { dtype, shape, data_offsets: (start, end) } =
            serde_json::from_value(value).map_err(|error| format!("its header, {name}: {error}"))?;
        if start > end || end > data.len() {
            return Err(format!("{name} ends at byte {end} of {}: the file has been cut short", data.len()));
        }
        let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
        if dtype == "F32" && count.and_then(|count| count.checked_mul(4)) != Some(end - start) {
            return Err(format!("{name} has {} bytes for the shape {shape:?}", end - start));
        }
        let first = 8 + length;
        entries.insert(name, Entry { dtype, shape, range: first + start..first + end });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    fn opened(bytes: &[u8]) -> Result<Weights> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("model.safetensors");
        std::fs::write(&path, bytes).unwrap();
        Weights::open(&path)
    }

    const TWO: &str =
        r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#;

    #[test]
    fn a_tensor_is_read_at_any_alignment() {
        let data = [1.0_f32.to_le_bytes(), (-2.5_f32).to_le_bytes()].concat();
        for spaces in 0..4 {
            let header = format!("{TWO}{}", " ".repeat(spaces));
            let weights = opened(&file(&header, &data)).unwrap();
            assert_eq!(weights.tensor("a", &[1, 2]).unwrap().rows().row(0), [1.0, -2.5]);
            assert!(
                weights.tensor("a", &[2, 1]).unwrap_err().to_string().contains("config.json says [2, 1]")
            );
            assert!(weights.tensor("b", &[1]).unwrap_err().to_string().contains("the tensor b is missing"));
        }
    }

    #[test]
    fn a_truncated_file_is_refused() {
        let whole = file(TWO, &[0; 8]);
        for end in 0..whole.len() {
            let failure = opened(&whole[..end]).unwrap_err();
            assert_eq!(failure.exit(), if end == 0 { failure.exit() } else { Exit::Data }, "{failure}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_name_no_range_beyond_the_file(header in ".{0,200}", data in proptest::collection::vec(any::<u8>(), 0..50)) {
            let bytes = file(&header, &data);
            if let Ok(entries) = super::header(&bytes) {
                prop_assert!(entries.values().all(|entry| entry.range.end <= bytes.len()));
            }
        }
    }
}
