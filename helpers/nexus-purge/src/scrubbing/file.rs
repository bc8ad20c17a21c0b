//! Reads a table's files page by page through the server.

use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;

/// The pages of one read.
const PAGES_PER_READ: usize = 128;

/// How often to look for the files while other sessions replace them (VACUUM FULL, TRUNCATE).
const TRIES: usize = 10;

/// The longest pause between two reads.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The files of a table.
pub(super) struct Files {
    /// The file of its rows.
    pub(super) heap: File,
    /// The file of its TOAST table, if it has one.
    pub(super) toast: Option<File>,
}

/// A file of pages, which may have several segments.
pub(super) struct File {
    path: String,
    bytes: i64,
    segment: i64,
    page: i64,
}

impl Files {
    /// Returns the current files of table `heap`.
    ///
    /// # Errors
    /// TryLater (75) when other sessions keep replacing them.
    pub(super) fn of(control: &Control, heap: &str) -> Result<Self> {
        let doing = format!("looking for the files of {heap}");
        for _ in 0..TRIES {
            if let Some(files) = Self::find(control, heap, &doing)? {
                return Ok(files);
            }
        }
        Err(Failure::new(Exit::TryLater, doing).because("another session keeps replacing them").advise(
            "Wait until its VACUUM FULL, TRUNCATE or ALTER TABLE has ended, then run nexus-purge again",
        ))
    }

    /// Returns `None` if a session replaced a file after the catalog's snapshot: its name and size are then NULL.
    fn find(control: &Control, heap: &str, doing: &str) -> Result<Option<Self>> {
        let sql = format!(
            "SELECT pg_catalog.pg_relation_filepath(f.oid), pg_catalog.pg_relation_size(f.oid), \
             pg_catalog.current_setting('block_size')::bigint, \
             (SELECT s.setting::bigint FROM pg_catalog.pg_settings s WHERE s.name = 'segment_size') \
             FROM pg_catalog.pg_class c, LATERAL (VALUES (0, c.oid), (1, c.reltoastrelid)) f (number, oid) \
             WHERE c.oid = {}::regclass AND f.oid <> 0 ORDER BY f.number",
            quote::literal(heap)
        );
        let rows = control.rows(doing, &sql, &[])?;
        let files: Option<Vec<File>> = rows
            .iter()
            .map(|row| {
                let page: i64 = row.get(2);
                let (path, bytes) = (row.get::<_, Option<_>>(0)?, row.get::<_, Option<_>>(1)?);
                Some(File { path, bytes, segment: page * row.get::<_, i64>(3), page })
            })
            .collect();
        let none = File { path: String::new(), bytes: 0, segment: 1, page: 1 };
        Ok(files
            .map(IntoIterator::into_iter)
            .map(|mut files| Self { heap: files.next().unwrap_or(none), toast: files.next() }))
    }
}

impl File {
    /// Passes its pages to `take` in groups, with the number of the first page. Pauses as long as each group took.
    pub(super) fn read(
        &self,
        control: &Control,
        mut take: impl FnMut(u64, std::slice::Chunks<'_, u8>) -> Result<()>,
    ) -> Result<()> {
        let page = usize::try_from(self.page).unwrap_or(1);
        let most = self.page * i64::try_from(PAGES_PER_READ).unwrap_or(1);
        let mut at = 0;
        while at < self.bytes {
            let began = Instant::now();
            let (segment, offset) = (at / self.segment, at % self.segment);
            let path = if segment == 0 { self.path.clone() } else { format!("{}.{segment}", self.path) };
            let length = most.min(self.segment - offset).min(self.bytes - at);
            let sql = "SELECT pg_catalog.pg_read_binary_file($1, $2, $3, true)";
            let row = control.row(&format!("reading {path}"), sql, &[&path, &offset, &length])?;
            // NULL: the segment was truncated meanwhile.
            let Some(bytes) = row.get::<_, Option<&[u8]>>(0) else { return Ok(()) };
            take(u64::try_from(at / self.page).unwrap_or(0), bytes.chunks(page))?;
            at += length;
            thread::sleep(began.elapsed().min(LONGEST_PAUSE));
        }
        Ok(())
    }
}
