//! `model.safetensors`: eight bytes length, a JSON header of that length, then the numbers.
//! <https://huggingface.co/docs/safetensors/index>, section "Format"

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use nexus_cli::failure::{Exit, Failure, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::machine::Rows;
use crate::machine::map::MappedFile;

/// The longest header, in bytes: a model has some hundred tensors, a line each.
const LONGEST_HEADER: usize = 4 << 20;

/// The weights in their file.
#[derive(Debug)]
pub struct Weights {
    file: Arc<MappedFile>,
    entries: BTreeMap<String, Entry>,
    /// For messages.
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
    /// Where they are in the file.
    Mapped(Arc<MappedFile>, Range<usize>),
    /// A copy: in the file they stand where no number can be read, or this machine has them the other way round.
    Copied(Arc<[f32]>),
}

/// What the header says of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    /// In the file.
    place: Range<usize>,
}

#[derive(Deserialize)]
struct Said {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl Weights {
    /// Maps the file and reads its header.
    ///
    /// # Errors
    /// Data (65) when it is no such file or has been cut short; else as [`MappedFile::open`].
    pub fn open(path: &Path) -> Result<Self> {
        let file = MappedFile::open(path)?;
        let name = path.display().to_string();
        let entries = header(&file).map_err(|why| damaged(&name, why))?;
        Ok(Self { file: Arc::new(file), entries, path: name })
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&**self.file).into()
    }

    /// The tensor `name`, which must have this shape. Some files have "bert." before all names.
    ///
    /// # Errors
    /// Data (65) when there is none, or it is another.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let entry = self
            .entries
            .get(name)
            .or_else(|| self.entries.get(&format!("bert.{name}")))
            .ok_or_else(|| damaged(&self.path, format!("the tensor {name} is missing")))?;
        if entry.dtype != "F32" {
            return Err(damaged(
                &self.path,
                format!("{name} is of {} numbers, only F32 is known", entry.dtype),
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
        let bytes = &self.file[entry.place.clone()];
        let numbers = if cfg!(target_endian = "little") && bytemuck::try_cast_slice::<u8, f32>(bytes).is_ok()
        {
            Numbers::Mapped(Arc::clone(&self.file), entry.place.clone())
        } else {
            let (numbers, _) = bytes.as_chunks::<4>();
            Numbers::Copied(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        };
        Ok(Tensor { numbers, width })
    }
}

impl Tensor {
    /// All of them.
    pub fn numbers(&self) -> &[f32] {
        match &self.numbers {
            // It could be cast when the tensor was made.
            Numbers::Mapped(file, place) => bytemuck::cast_slice(&file[place.clone()]),
            Numbers::Copied(numbers) => numbers,
        }
    }

    /// The same as rows.
    pub fn rows(&self) -> Rows<'_> {
        Rows::dense(self.numbers(), self.width)
    }
}

fn damaged(path: &str, why: impl Into<String>) -> Failure {
    Failure::new(Exit::Data, format!("reading {path}"))
        .because(why.into())
        .advise("Install the model anew: nexus-setup --model download, or --model DIR")
}

/// The header of a file whose bytes are these.
fn header(bytes: &[u8]) -> std::result::Result<BTreeMap<String, Entry>, String> {
    let short = || format!("it ends after {} bytes, within its header", bytes.len());
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > LONGEST_HEADER {
        return Err("it is no file of safetensors".to_owned());
    }
    let (header, data) = rest.split_at_checked(length).ok_or_else(short)?;
    let header: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(|error| format!("its header: {error}"))?;
    let mut entries = BTreeMap::new();
    for (name, value) in header {
        if name == "__metadata__" {
            continue;
        }
        let Said { dtype, shape, data_offsets: (start, end) } =
            serde_json::from_value(value).map_err(|error| format!("its header, {name}: {error}"))?;
        if start > end || end > data.len() {
            return Err(format!("{name} ends at byte {end} of {}: the file has been cut short", data.len()));
        }
        let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
        if dtype == "F32" && count.and_then(|count| count.checked_mul(4)) != Some(end - start) {
            return Err(format!("{name} has {} bytes for the shape {shape:?}", end - start));
        }
        let first = 8 + length;
        entries.insert(name, Entry { dtype, shape, place: first + start..first + end });
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
    fn a_tensor_is_what_the_file_has_wherever_it_stands() {
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
    fn a_file_cut_short_anywhere_is_refused() {
        let whole = file(TWO, &[0; 8]);
        for end in 0..whole.len() {
            let failure = opened(&whole[..end]).unwrap_err();
            assert_eq!(failure.exit(), if end == 0 { failure.exit() } else { Exit::Data }, "{failure}");
        }
    }

    proptest! {
        #[test]
        fn rubbish_is_refused(header in ".{0,200}", data in proptest::collection::vec(any::<u8>(), 0..50)) {
            let bytes = file(&header, &data);
            if let Ok(entries) = super::header(&bytes) {
                prop_assert!(entries.values().all(|entry| entry.place.end <= bytes.len()));
            }
        }
    }
}
