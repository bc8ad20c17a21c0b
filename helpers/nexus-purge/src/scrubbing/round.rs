//! One time through the files of one table: what has traces is filled, and counted.

use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::is_busy;

use super::file::Files;
use super::filler::{Filler, PIECE};
use super::page;

/// Pages whose filler is one transaction.
const STEP: usize = 32;

/// Bytes of a piece of a long text beside the text.
const BESIDE_PIECE: usize = 36;

/// The server's map of free room counts in these bytes.
const GRAIN: usize = 32;

/// The smallest room that the map has a page for and a piece fits into.
const SMALLEST_ROOM: usize = 2 * GRAIN + page::POINTER;

/// Pieces that one value has at most.
const PIECES: usize = 8;

/// Whole pieces that take up a page: what is written after them goes where the map says, not into the page with them.
const A_PAGE: usize = 4;

/// One round.
pub(super) struct Round<'a> {
    pub(super) control: &'a Control,
    pub(super) filler: &'a Filler,
    pub(super) text: &'a str,
    /// Whether pages that show no trace are filled too: where the server chooses the page it may choose those.
    pub(super) everything: bool,
    pub(super) progress: &'a Progress,
    /// Rows of the page with rows that was met last.
    some_rows: Vec<String>,
    /// Pages that show traces.
    pub(super) traces: u64,
    /// Bytes of filler that were written.
    pub(super) written: u64,
    /// What the server has against filler.
    pub(super) refused: Option<String>,
}

/// Rows, and lengths of the filler that one of them is to become.
type Pages = Vec<(Vec<String>, Vec<usize>)>;

impl<'a> Round<'a> {
    /// A new one.
    pub(super) fn new(
        control: &'a Control,
        filler: &'a Filler,
        text: &'a str,
        everything: bool,
        progress: &'a Progress,
    ) -> Self {
        let some_rows = Vec::new();
        Self { control, filler, text, everything, progress, some_rows, traces: 0, written: 0, refused: None }
    }

    /// Goes through `files`.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn through(&mut self, files: &Files) -> Result<()> {
        let mut empty = 0;
        files.own.read(self.control, |first, pages| {
            let mut step = Pages::new();
            for (number, page) in (first..).zip(pages) {
                let Some((room, has_trace)) = self.room(page, self.filler.least, self.filler.least) else {
                    continue;
                };
                let rows: Vec<String> =
                    page::rows(page).iter().map(|row| format!("\"({number},{row})\"")).collect();
                if rows.is_empty() {
                    empty += 1;
                } else {
                    self.some_rows.clone_from(&rows);
                    if has_trace {
                        step.push((rows, page::lengths(room, self.filler.least)));
                    }
                }
            }
            self.fill(&step, false)?;
            // A page without rows is filled by a row of another: as soon as one is known.
            while !self.some_rows.is_empty() && empty > 0 {
                let lengths = page::lengths(page::LARGEST_ROOM, self.filler.least).repeat(STEP.min(empty));
                self.fill(&[(self.some_rows.clone(), lengths)], false)?;
                empty = empty.saturating_sub(STEP);
            }
            Ok(())
        })?;
        if let Some(outside) = &files.outside {
            self.outside(outside)?;
        }
        Ok(())
    }

    /// Pieces of long texts: nothing says on which page one is to be written, but the largest go where there is most room.
    fn outside(&mut self, file: &super::file::File) -> Result<()> {
        let mut pieces = 0;
        // How many pages have room for a shorter one beside those, by its length in grains.
        let mut rests = [0_usize; page::LONGEST / GRAIN + 1];
        file.read(self.control, |_, pages| {
            for page in pages {
                if let Some((room, _)) = self.room(page, SMALLEST_ROOM, BESIDE_PIECE + GRAIN) {
                    let whole = page::LONGEST + page::POINTER;
                    pieces += room / whole;
                    rests[(room % whole).saturating_sub(page::POINTER) / GRAIN] += 1;
                }
            }
            Ok(())
        })?;
        let whole = (0..pieces.div_ceil(PIECES)).map(|_| PIECES * PIECE);
        let rests = rests.iter().enumerate().rev().flat_map(|(grains, count)| {
            let text = (grains * GRAIN).saturating_sub(BESIDE_PIECE);
            std::iter::repeat_n(A_PAGE * PIECE + text, if text > 0 { *count } else { 0 })
        });
        let mut lengths = whole.chain(rests).peekable();
        while lengths.peek().is_some() && !self.some_rows.is_empty() {
            let step = lengths.by_ref().take(STEP).collect();
            self.fill(&[(self.some_rows.clone(), step)], true)?;
        }
        Ok(())
    }

    /// Bytes of the free room of `page`, and whether it shows traces longer than `beside`, which rows of filler have beside
    /// their filler; nothing when it is not to be filled.
    fn room(&mut self, page: &[u8], least: usize, beside: usize) -> Option<(usize, bool)> {
        let room = &page[page::room(page)?];
        if room.len() < least {
            return None;
        }
        let has_trace = page::longest_trace(room) > beside;
        self.traces += u64::from(has_trace);
        (has_trace || self.everything).then_some((room.len(), has_trace))
    }

    /// Writes filler and takes it back, in steps.
    fn fill(&mut self, pages: &[(Vec<String>, Vec<usize>)], outside: bool) -> Result<()> {
        for step in pages.chunks(STEP) {
            if self.refused.is_some() {
                return Ok(());
            }
            self.progress.advance(0);
            if let Err(error) = self.control.try_run(&self.filler.statements(step, self.text, outside))? {
                // A connection that is gone has rolled back by itself, and the next statement says so.
                let _rolled_back = self.control.try_run("ROLLBACK")?;
                match error.code() {
                    // Somebody works on those rows: the next round tries them again.
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
