//! Splits texts into tokens, and long texts into pieces.

use std::path::Path;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::counted;
use tokenizers::Tokenizer;

/// The most pieces of a text; the rest is ignored. 64 pieces of 256 tokens are some 50,000
/// characters.
pub const MOST_PIECES: usize = 64;

/// The most characters of a text; the rest is ignored.
pub(crate) const MOST_CHARACTERS: usize = 65_536;

/// Bytes of a text that are tokenized at a time, cut at white space. The tokenizer needs some
/// hundred bytes of memory for each.
const CHUNK: usize = 8 << 10;

/// A tokenizer, and the special tokens that it puts around each text.
pub struct Tokens {
    tokenizer: Tokenizer,
    before: Vec<u32>,
    after: Vec<u32>,
    most: usize,
}

impl Tokens {
    /// Reads `tokenizer.json` in `folder`, for a model that takes `most` tokens.
    ///
    /// # Errors
    /// Data (65) if the file is missing or malformed.
    pub fn read(folder: &Path, most: usize) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let doing = || format!("reading {}", path.display());
        let mut tokenizer =
            Tokenizer::from_file(&path).map_err(|error| Failure::new(Exit::Data, doing()).because(error))?;
        // The file has settings for another use.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| Failure::new(Exit::Data, doing()).because(error))?;
        let around =
            tokenizer.encode("a", true).map_err(|error| Failure::new(Exit::Data, doing()).because(error))?;
        let special = around.get_special_tokens_mask();
        let first = special.iter().position(|mask| *mask == 0).unwrap_or(special.len());
        let last = special.iter().rposition(|mask| *mask == 0).map_or(first, |last| last + 1);
        let ids = around.get_ids();
        let (before, after) = (ids[..first].to_vec(), ids[last..].to_vec());
        if before.len() + after.len() + 1 >= most {
            return Err(Failure::new(Exit::Data, doing()).because(format!(
                "it puts {} around a text",
                counted((before.len() + after.len()) as u64, "token")
            )));
        }
        Ok(Self { tokenizer, before, after, most })
    }

    /// Returns the pieces of `text`, at least one and at most [`MOST_PIECES`]. Each piece has
    /// `prefix` and the special tokens.
    ///
    /// # Errors
    /// Software (70) if the tokenizer fails.
    pub fn pieces(&self, prefix: &str, text: &str) -> Result<Vec<Vec<u32>>> {
        let room = self.most - self.before.len() - self.after.len();
        let text = text.char_indices().nth(MOST_CHARACTERS).map_or(text, |(end, _)| &text[..end]);
        let mut ids = Vec::new();
        // The tokenizer may join the end of the prefix with the beginning of the text.
        let mut rest = if prefix.is_empty() { text.to_owned() } else { format!("{prefix}{text}") };
        let prefix = if prefix.is_empty() { Vec::new() } else { self.encode(prefix.trim_end())? };
        // Ignores a prefix that leaves too little room for the text.
        let prefix = if prefix.len() < room / 2 { prefix } else { Vec::new() };
        let most = room + (MOST_PIECES - 1) * (room - prefix.len());
        while !rest.is_empty() && ids.len() < most {
            let after = rest.split_off(end_of_chunk(&rest));
            ids.extend(self.encode(&rest)?);
            rest = after;
        }
        ids.truncate(most);
        let (first, others) = ids.split_at(room.min(ids.len()));
        let mut pieces = vec![self.around(&[first])];
        pieces.extend(others.chunks(room - prefix.len()).map(|piece| self.around(&[&prefix, piece])));
        Ok(pieces)
    }

    fn around(&self, parts: &[&[u32]]) -> Vec<u32> {
        [&self.before[..]].iter().chain(parts).chain(&[&self.after[..]]).copied().flatten().copied().collect()
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|error| Failure::new(Exit::Software, "tokenizing a text").because(error))?;
        Ok(encoding.get_ids().to_vec())
    }
}

/// Returns the end of the first chunk of `text`: before white space, if there is any.
fn end_of_chunk(text: &str) -> usize {
    if text.len() <= CHUNK {
        return text.len();
    }
    let end = (0..=CHUNK).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    match text[..end].rfind(char::is_whitespace) {
        Some(space) if space > 0 => space,
        _ => end,
    }
}
