//! Deletes rows in small steps through the pages of the table. Each step is a short transaction
//! with a short lock timeout. Memory does not grow with the table, no index is needed, and a killed
//! run starts over.

use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::{from_client, is_busy};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::forgetting::code_of_others;
use crate::forgetting::following::{Following, follow};
use crate::forgetting::references::{ForeignKey, OnReference, Referring, forbids, foreign_keys};
use crate::forgetting::{Heap, Table};

/// The pages of the first step. Later steps adapt to the time and rows of the last one.
const FIRST_PAGES: u32 = 64;

/// The most pages of a step.
const MOST_PAGES: u32 = 4096;

/// After a step longer than this, the next one is smaller.
const LONG: Duration = Duration::from_millis(80);

/// The most tries of a step that other sessions block.
const TRIES: u32 = 20;

/// The most passes through the table, because rows may move to earlier pages in the meantime.
const PASSES: u32 = 5;

/// Removes all copies of rows with these keys. It is called before a step commits, so that a kill
/// leaves no copy of a deleted row. It is called again after the commit, because a program may have
/// copied a row in between.
pub type ForgetCopies<'a> = dyn FnMut(&[String]) -> Result<()> + 'a;

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// The rows, by the number of their condition.
    pub rows: Vec<u64>,
    /// The bytes that they took.
    pub bytes: u64,
    /// What happened to referring rows.
    pub referring: Referring,
}

/// A step that succeeded.
struct Step {
    /// The deleted rows.
    rows: Vec<Row>,
    following: Following,
    /// The time that deleting them took, without the checks before it: smaller steps would not shorten
    /// those.
    took: Duration,
}

/// Deletes rows of one table.
pub struct Eraser<'a> {
    session: &'a Control,
    table: &'a Table,
    keys: Vec<ForeignKey>,
    on: OnReference,
    /// The most rows of a step; a single page may have more.
    most_rows: u64,
    /// Whether to pause after each step for as long as it took, because others use the database
    /// too.
    gently: bool,
    /// The most tries of a step that other sessions block.
    tries: u32,
    progress: &'a Progress,
    stop: &'a Stop,
    copies: &'a mut ForgetCopies<'a>,
}

impl<'a> Eraser<'a> {
    /// Creates an eraser for `table` in the session's database.
    ///
    /// # Errors
    /// Errors of the server.
    #[expect(clippy::too_many_arguments, reason = "one caller; each is a thing of its own")]
    pub fn new(
        session: &'a Control,
        table: &'a Table,
        on: OnReference,
        most_rows: u32,
        gently: bool,
        progress: &'a Progress,
        stop: &'a Stop,
        copies: &'a mut ForgetCopies<'a>,
    ) -> Result<Self> {
        let keys = foreign_keys(session, table)?;
        let most_rows = u64::from(most_rows);
        Ok(Self { session, table, keys, on, most_rows, gently, tries: TRIES, progress, stop, copies })
    }

    /// Gives up after `tries` of a step. Each try waits up to a second for a lock.
    pub fn trying(&mut self, tries: u32) -> &mut Self {
        self.tries = tries;
        self
    }

    /// Deletes every row that matches one of `conditions`. A row that matches several counts for the
    /// first.
    ///
    /// # Errors
    /// Errors of the server; TryLater (75) when another session locks rows for too long; Data (65)
    /// when rows are still there afterwards. Rows deleted by then stay deleted.
    pub fn by_conditions(&mut self, conditions: &[String]) -> Result<Erased> {
        let mut erased = Erased { rows: vec![0; conditions.len()], ..Erased::default() };
        if conditions.is_empty() {
            return Ok(erased);
        }
        let any = conditions.join(" OR ");
        for _ in 0..PASSES {
            for heap in self.table.heaps() {
                self.through_pages(heap, conditions, &any, &mut erased)?;
            }
            let left = format!("SELECT EXISTS (SELECT FROM {} WHERE {any})", self.table.qualified());
            if !self.session.row("looking for remaining rows", &left, &[])?.get::<_, bool>(0) {
                return Ok(erased);
            }
        }
        Err(self.rows_stay())
    }

    /// Returns the failure when rows are still there after they were deleted.
    fn rows_stay(&self) -> Failure {
        Failure::new(Exit::Data, format!("deleting rows of {}", self.table))
            .because("some of them are still there: a trigger or a rule keeps them, or another program stores such rows all the time")
            .advise("Look at the triggers and rules of that table (\\d+ in psql), and run it again")
    }

    /// Refuses to go on if a row matches after all were deleted.
    fn require_none(&self, condition: &str) -> Result<()> {
        let left = format!("SELECT EXISTS (SELECT FROM {} WHERE {condition})", self.table.qualified());
        if self.session.row("looking for remaining rows", &left, &[])?.get(0) {
            Err(self.rows_stay())
        } else {
            Ok(())
        }
    }

    /// Deletes the rows with these keys.
    ///
    /// # Errors
    /// Those of [`Self::by_conditions`].
    pub(crate) fn by_keys(&mut self, keys: &[String]) -> Result<Erased> {
        let mut erased = Erased { rows: vec![0], ..Erased::default() };
        let key = nexus_postgres::quote::identifier(&self.table.place().key);
        let condition = format!("{key} = ANY ({})", self.table.key_array(keys));
        for heap in self.table.heaps() {
            self.step(&heap.name, &condition, "0", &mut erased)?;
        }
        self.require_none(&condition)?;
        // A copy may exist without its row.
        (self.copies)(keys)?;
        Ok(erased)
    }

    /// Deletes the row with this key, if it is the agent's.
    ///
    /// # Errors
    /// Those of [`Self::by_conditions`].
    pub fn by_key_of(&mut self, key: &str, agent: &str) -> Result<Erased> {
        let mut erased = Erased { rows: vec![0], ..Erased::default() };
        let condition = self.table.is_of(key, agent);
        for heap in self.table.heaps() {
            self.step(&heap.name, &condition, "0", &mut erased)?;
        }
        self.require_none(&condition)?;
        Ok(erased)
    }

    fn through_pages(
        &mut self,
        heap: &Heap,
        conditions: &[String],
        any: &str,
        erased: &mut Erased,
    ) -> Result<()> {
        let whens: Vec<String> =
            conditions.iter().enumerate().map(|(number, sql)| format!("WHEN {sql} THEN {number}")).collect();
        let which = format!("CASE {} END", whens.join(" "));
        let (mut page, mut pages) = (0, FIRST_PAGES);
        while page < heap.pages {
            let next = page.saturating_add(pages);
            // The last step includes pages that were added since.
            let end =
                if next < heap.pages { format!(" AND ctid < '({next},0)'::tid") } else { String::new() };
            let began = Instant::now();
            let here = format!("ctid >= '({page},0)'::tid{end} AND ({any})");
            let (rows, took) = self.step(&heap.name, &here, &which, erased)?;
            self.progress.advance(u64::from(next.min(heap.pages) - page) * Heap::PAGE);
            if took > LONG || rows > self.most_rows {
                pages = (pages / 2).max(1);
            } else if took < LONG / 2 && rows < self.most_rows / 2 {
                pages = (pages * 2).min(MOST_PAGES);
            }
            page = next;
            if self.gently {
                // Others get the machine for as long as the step took, which keeps their response
                // times low.
                thread::sleep(began.elapsed().min(Duration::from_secs(1)));
            }
        }
        Ok(())
    }

    /// Runs one step: deletes the rows that match `condition`. `which` is SQL for the number of a
    /// row's condition. Returns the number of deleted rows, and the time that deleting them took.
    fn step(
        &mut self,
        heap: &str,
        condition: &str,
        which: &str,
        erased: &mut Erased,
    ) -> Result<(u64, Duration)> {
        let mut last = String::new();
        for attempt in 1..=self.tries {
            self.stop.check()?;
            match self.transaction(heap, condition, which)? {
                Ok(Step { rows, following, took }) => {
                    following.count(&self.keys, &mut erased.referring);
                    let keys: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
                    if !keys.is_empty() {
                        (self.copies)(&keys)?;
                    }
                    for row in &rows {
                        let number = usize::try_from(row.get::<_, i32>(1)).unwrap_or(0);
                        erased.rows[number] += 1;
                        erased.bytes += u64::try_from(row.get::<_, i64>(2)).unwrap_or(0);
                    }
                    self.progress.advance(0);
                    return Ok((rows.len() as u64, took));
                }
                Err(busy) => last = busy,
            }
            thread::sleep(Duration::from_millis(50) * attempt);
        }
        Err(Failure::new(Exit::TryLater, format!("deleting rows of {}", self.table)).because(last).advise(
            "Another session locks those rows: see pg_stat_activity. The next run continues with the rest",
        ))
    }

    /// Runs a step's transaction. The inner error is the server's message if another session blocks
    /// it.
    fn transaction(
        &mut self,
        heap: &str,
        condition: &str,
        which: &str,
    ) -> Result<std::result::Result<Step, String>> {
        let doing = format!("deleting rows of {}", self.table);
        // A deferred foreign key would refuse only at the commit, after the copies are removed.
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED; SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL lock_timeout = '1s'";
        let delete = format!(
            "DELETE FROM ONLY {heap} WHERE {condition} RETURNING {} AS key, {which} AS which, {} AS bytes",
            self.table.key_text(),
            self.table.row_bytes()
        );
        let ready = match self.session.try_run(begin)? {
            Ok(()) => self.lock_tables()?,
            Err(error) => Err(error),
        };
        let start = Instant::now();
        let outcome = match ready {
            Ok(()) => self.delete(heap, condition, &delete)?,
            Err(error) => Err(error),
        };
        let took = start.elapsed();
        let (rows, following) = match outcome {
            Ok(done) => done,
            Err(error) => {
                // If the connection is lost, the server rolls back, and the error below reports it.
                let _rolled_back = self.session.try_run("ROLLBACK")?;
                return refused(&doing, self.table, &error).map(Err);
            }
        };
        if !rows.is_empty() {
            let keys: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            if let Err(failure) = (self.copies)(&keys) {
                let _rolled_back = self.session.try_run("ROLLBACK")?;
                return Err(failure);
            }
        }
        match self.session.try_run("COMMIT")? {
            Ok(()) => Ok(Ok(Step { rows, following, took })),
            Err(error) => refused(&doing, self.table, &error).map(Err),
        }
    }
}

impl Eraser<'_> {
    /// Locks the tables and refuses to run code of others.
    fn lock_tables(&mut self) -> Result<std::result::Result<(), tokio_postgres::Error>> {
        match code_of_others::hold_still(self.session, self.table) {
            Ok(Ok(keys)) => {
                self.keys = keys;
                Ok(Ok(()))
            }
            Ok(Err(error)) => Ok(Err(error)),
            Err(failure) => {
                // The session may be used again.
                let _rolled_back = self.session.try_run("ROLLBACK")?;
                Err(failure)
            }
        }
    }

    /// Deletes the rows and treats referring rows according to the settings.
    fn delete(
        &self,
        heap: &str,
        condition: &str,
        delete: &str,
    ) -> Result<std::result::Result<(Vec<Row>, Following), tokio_postgres::Error>> {
        if self.keys.iter().all(|key| key.is_queue) {
            return Ok(self.session.try_rows(delete)?.map(|rows| (rows, Following::default())));
        }
        let following = match follow(self.session, &self.keys, self.on, heap, condition)? {
            Ok(following) => following,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(key) = following.forbidden_by(&self.keys) {
            // The session may be used again.
            let _rolled_back = self.session.try_run("ROLLBACK")?;
            return Err(forbids(self.table, &key.table));
        }
        let rows = self.session.try_rows(&following.statement(&self.keys, delete))?;
        Ok(rows.map(|rows| (rows, following)))
    }
}

/// Returns the server's message if another session caused the error.
///
/// # Errors
/// Any other error of the server.
fn refused(doing: &str, table: &Table, error: &tokio_postgres::Error) -> Result<String> {
    let Some(db) = error.as_db_error() else { return Err(from_client(doing, error)) };
    if is_busy(db.code().code()) {
        return Ok(db.message().to_owned());
    }
    if [SqlState::FOREIGN_KEY_VIOLATION, SqlState::RESTRICT_VIOLATION].contains(db.code()) {
        let other = format!("{}.{}", db.schema().unwrap_or("?"), db.table().unwrap_or("?"));
        return Err(forbids(table, &other));
    }
    Err(from_client(doing, error))
}
