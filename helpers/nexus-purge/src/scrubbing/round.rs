//! One round through the files of a table: fills the pages that hold traces, and counts them. A trace is the bytes of a deleted
//! row in a page's free space.

use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::is_busy;

use super::file::Files;
use super::filler::{CHUNK, Filler};
use super::page;

/// The pages to fill in one transaction.
const STEP: usize = 32;

/// The bytes of a TOAST chunk besides its data.
const CHUNK_OVERHEAD: usize = 36;

/// The unit of the free space map, in bytes (FSM_CAT_STEP).
const FSM_STEP: usize = 32;

/// The smallest free space for which the map finds the page and into which a chunk fits.
const SMALLEST_SPACE: usize = 2 * FSM_STEP + page::POINTER;

/// The most chunks of one value.
const CHUNKS_PER_VALUE: usize = 8;

/// The whole chunks that fill a page. The map then chooses another page for the next chunk of the value.
const CHUNKS_PER_PAGE: usize = 4;

/// One round.
pub(super) struct Round<'a> {
    pub(super) control: &'a Control,
    pub(super) filler: &'a Filler,
    pub(super) text: &'a str,
    /// Whether to fill clean pages too: if the server chooses the page, it may choose one of those.
    pub(super) fills_all: bool,
    pub(super) progress: &'a Progress,
    /// The rows of the last page that has any.
    some_rows: Vec<String>,
    /// The pages that hold traces.
    pub(super) traces: u64,
    /// The bytes of filler that were written.
    pub(super) written: u64,
    /// Why the server refused a filler row.
    pub(super) refused: Option<String>,
}

/// For each page: its rows, and the lengths to which one of them is updated.
type Pages = Vec<(Vec<String>, Vec<usize>)>;

impl<'a> Round<'a> {
    pub(super) fn new(
        control: &'a Control,
        filler: &'a Filler,
        text: &'a str,
        fills_all: bool,
        progress: &'a Progress,
    ) -> Self {
        let some_rows = Vec::new();
        Self { control, filler, text, fills_all, progress, some_rows, traces: 0, written: 0, refused: None }
    }

    /// Fills the pages of `files` that hold traces.
    pub(super) fn run(&mut self, files: &Files) -> Result<()> {
        let mut empty = 0;
        files.heap.read(self.control, |first, pages| {
            let mut step = Pages::new();
            for (number, page) in (first..).zip(pages) {
                let Some((space, has_trace)) = self.free_space(page, self.filler.least, self.filler.least)
                else {
                    continue;
                };
                let rows: Vec<String> =
                    page::rows(page).iter().map(|row| format!("\"({number},{row})\"")).collect();
                if rows.is_empty() {
                    empty += 1;
                } else {
                    self.some_rows.clone_from(&rows);
                    if has_trace {
                        step.push((rows, page::lengths(space, self.filler.least)));
                    }
                }
            }
            self.fill(&step, false)?;
            // To fill a page without rows, updates a row of another page.
            while !self.some_rows.is_empty() && empty > 0 {
                let lengths = page::lengths(page::LARGEST_SPACE, self.filler.least).repeat(STEP.min(empty));
                self.fill(&[(self.some_rows.clone(), lengths)], false)?;
                empty = empty.saturating_sub(STEP);
            }
            Ok(())
        })?;
        if let Some(toast) = &files.toast {
            self.fill_toast(toast)?;
        }
        Ok(())
    }

    /// Fills TOAST pages. No statement can name the page of a chunk, but the largest chunks go to the pages with the most free
    /// space.
    fn fill_toast(&mut self, file: &super::file::File) -> Result<()> {
        let mut chunks = 0;
        // How many pages have space for one shorter chunk after the whole ones. The index is its length in FSM_STEP.
        let mut rests = [0_usize; page::LONGEST / FSM_STEP + 1];
        file.read(self.control, |_, pages| {
            for page in pages {
                if let Some((space, _)) = self.free_space(page, SMALLEST_SPACE, CHUNK_OVERHEAD + FSM_STEP) {
                    let whole = page::LONGEST + page::POINTER;
                    chunks += space / whole;
                    rests[(space % whole).saturating_sub(page::POINTER) / FSM_STEP] += 1;
                }
            }
            Ok(())
        })?;
        let whole = (0..chunks.div_ceil(CHUNKS_PER_VALUE)).map(|_| CHUNKS_PER_VALUE * CHUNK);
        let rests = rests.iter().enumerate().rev().flat_map(|(steps, count)| {
            let text = (steps * FSM_STEP).saturating_sub(CHUNK_OVERHEAD);
            std::iter::repeat_n(CHUNKS_PER_PAGE * CHUNK + text, if text > 0 { *count } else { 0 })
        });
        let mut lengths = whole.chain(rests).peekable();
        while lengths.peek().is_some() && !self.some_rows.is_empty() {
            let step = lengths.by_ref().take(STEP).collect();
            self.fill(&[(self.some_rows.clone(), step)], true)?;
        }
        Ok(())
    }

    /// Returns the bytes of free space in `page`, and whether it holds a trace; `None` if it needs no filler. A trace is longer
    /// than `overhead`, the bytes of a filler row besides its filler.
    fn free_space(&mut self, page: &[u8], least: usize, overhead: usize) -> Option<(usize, bool)> {
        let space = &page[page::free_space(page)?];
        if space.len() < least {
            return None;
        }
        let has_trace = page::longest_trace(space) > overhead;
        self.traces += u64::from(has_trace);
        (has_trace || self.fills_all).then_some((space.len(), has_trace))
    }

    /// Writes filler and rolls it back, in steps.
    fn fill(&mut self, pages: &[(Vec<String>, Vec<usize>)], is_toast: bool) -> Result<()> {
        for step in pages.chunks(STEP) {
            if self.refused.is_some() {
                return Ok(());
            }
            self.progress.advance(0);
            if let Err(error) = self.control.try_run(&self.filler.statements(step, self.text, is_toast))? {
                // If the connection is lost, the server has rolled back, and the next statement fails.
                let _rolled_back = self.control.try_run("ROLLBACK")?;
                match error.code() {
                    // Another session works on those rows; the next round tries again.
                    Some(code) if is_busy(code.code()) => {}
                    _ => {
                        self.refused =
                            Some(error.as_db_error().map_or(error.to_string(), |e| e.message().to_owned()));
                    }
                }
            }
            self.written += step.iter().flat_map(|(_, lengths)| lengths).sum::<usize>() as u64;
        }
        Ok(())
    }
}
