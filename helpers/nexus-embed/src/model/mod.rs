//! A model: a sentence-transformers folder with a BERT encoder. Computes the vectors of texts.

pub mod config;
pub mod tokens;
pub mod weights;

use std::path::{Path, PathBuf};

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_embed_client::protocol::{LONGEST_VERSION, TextKind};

use crate::engine::bert::Bert;
use crate::machine::Instructions;

use config::{Description, Pooling};
use tokens::Tokens;
use weights::Weights;

/// The most tokens of several texts in one pass. More are no faster, and queries wait longer.
const PASS: usize = 64;

/// A loaded model.
pub struct Model {
    version: String,
    description: Description,
    tokens: Tokens,
    bert: Bert,
}

/// Returns the folder of model `name`; an absolute path stays as it is.
pub fn folder_of(models: &Path, name: &str) -> PathBuf {
    models.join(name)
}

impl Model {
    /// Loads the model in `folder`.
    ///
    /// # Errors
    /// Settings (78) if there is no model, or its kind is not supported; Data (65) if it is
    /// damaged.
    pub fn load(folder: &Path, instructions: Instructions) -> Result<Self> {
        let description = Description::read(folder)?;
        let weights = Weights::open(&folder.join("model.safetensors"))?;
        let sums = folder.join("SHA256SUMS");
        // In parallel, because the file has 90 MB.
        let (digest, tokens) =
            rayon::join(|| weights.digest(), || Tokens::read(folder, description.most_tokens));
        let digest = hexadecimal(&digest);
        check_sum(&sums, &digest)?;
        let bert = Bert::new(description.bert.clone(), &weights, instructions)?;
        let version = version(folder, &digest);
        Ok(Self { version, description, tokens: tokens?, bert })
    }

    /// Returns the version: name, `@`, and the first eight digits of the weights' SHA-256.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns one vector of length 1 for each text, one after the other.
    ///
    /// A text with more tokens than the model takes is cut into pieces. Its vector is their mean,
    /// weighted by their tokens. Calls `between` after each pass, every few dozen milliseconds.
    ///
    /// # Errors
    /// Data (65) if tokenizer and weights do not match, Software (70) if the tokenizer fails.
    pub fn embed(&self, texts: &[(TextKind, &str)], between: &mut dyn FnMut()) -> Result<Vec<f32>> {
        let width = self.description.bert.hidden_size;
        let mut vectors = vec![0.0; texts.len() * width];
        // (text, piece)
        let mut pieces: Vec<(usize, Vec<u32>)> = Vec::new();
        for (number, (kind, text)) in texts.iter().enumerate() {
            let prefix = self.description.prefix(*kind);
            let found = if self.description.is_lower_case {
                self.tokens.pieces(prefix, &text.to_lowercase())?
            } else {
                self.tokens.pieces(prefix, text)?
            };
            pieces.extend(found.into_iter().map(|piece| (number, piece)));
        }
        let mut rest = &pieces[..];
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = rest.iter().take_while(|(_, piece)| {
                tokens += piece.len();
                tokens <= PASS
            });
            let (together, after) = rest.split_at(fits.count().max(1));
            self.add(together, &mut vectors)?;
            rest = after;
            between();
        }
        vectors.chunks_exact_mut(width).for_each(normalize);
        Ok(vectors)
    }

    /// Adds the vectors of pieces to those of their texts.
    #[allow(clippy::cast_precision_loss)] // a piece has some hundred tokens
    fn add(&self, pieces: &[(usize, Vec<u32>)], vectors: &mut [f32]) -> Result<()> {
        let width = self.description.bert.hidden_size;
        let ids: Vec<&[u32]> = pieces.iter().map(|(_, ids)| ids.as_slice()).collect();
        let states = self.bert.forward(&ids)?;
        let mut rows = states.chunks_exact(width);
        for (text, ids) in pieces {
            let mut pooled = pool(self.description.pooling, rows.by_ref().take(ids.len()), width);
            normalize(&mut pooled);
            for (sum, x) in vectors[text * width..].iter_mut().zip(&pooled) {
                *sum += x * ids.len() as f32;
            }
        }
        Ok(())
    }
}

/// Pools the states of the tokens. The result is normalized later, so its length does not matter.
fn pool<'a>(pooling: Pooling, mut rows: impl Iterator<Item = &'a [f32]>, width: usize) -> Vec<f32> {
    let mut pooled = rows.next().map_or_else(|| vec![0.0; width], <[f32]>::to_vec);
    match pooling {
        Pooling::First => rows.for_each(drop),
        Pooling::Mean => {
            for row in rows {
                pooled.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
        }
        Pooling::Max => {
            for row in rows {
                pooled.iter_mut().zip(row).for_each(|(largest, x)| *largest = largest.max(*x));
            }
        }
    }
    pooled
}

fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        for x in vector {
            *x /= length;
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Returns the name of the folder, cut to fit, and the digest.
fn version(folder: &Path, digest: &str) -> String {
    let name = folder.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_VERSION - 9).collect();
    format!("{name}@{}", &digest[..8])
}

/// Compares the weights with the digest that nexus-setup stored when it installed them.
fn check_sum(sums: &Path, digest: &str) -> Result<()> {
    // A folder that was copied there by hand has none.
    let Ok(text) = std::fs::read_to_string(sums) else { return Ok(()) };
    let expected =
        text.lines().filter_map(|line| line.split_once("  ")).find(|(_, file)| *file == "model.safetensors");
    match expected {
        Some((expected, _)) if expected != digest => Err(Failure::new(
            Exit::Data,
            format!("reading {}", sums.with_file_name("model.safetensors").display()),
        )
        .because(format!(
            "its SHA-256 begins with {}, SHA256SUMS says {}",
            &digest[..8],
            expected.get(..8).unwrap_or(expected)
        ))
        .advise("Install the model again: nexus-setup --model download, or --model DIR")),
        _ => Ok(()),
    }
}
