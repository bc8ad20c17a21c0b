//! Taking rows out: in small steps, each a short transaction that waits for nobody long, one after the other through the
//! pages of the table. Memory does not grow with the table, no index is needed, and whoever is killed begins anew.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::{from_client, is_busy};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::forgetting::code_of_others::{self, CodeOfOthers};
use crate::forgetting::following::{Following, follow};
use crate::forgetting::references::{ForeignKey, OnReference, Referring, forbids, foreign_keys};
use crate::forgetting::{Heap, Table};

/// Pages of the first step; later ones are as many as a step's time and rows allow.
const FIRST_PAGES: u32 = 64;

/// The most pages of a step.
const MOST_PAGES: u32 = 4096;

/// A step that takes longer than this is followed by a smaller one.
const LONG: Duration = Duration::from_millis(80);

/// How often a step is tried that others are in the way of.
const TRIES: u32 = 20;

/// How often the table is gone through, should rows have moved behind us meanwhile.
const PASSES: u32 = 5;

/// Takes away the copies of rows with these keys, wherever they are. Called before a step's rows are gone for others, so
/// that a kill leaves no copy of a row that is gone, and again after, should somebody have copied a row in between.
pub type ForgetCopies<'a> = dyn FnMut(&[String]) -> Result<()> + 'a;

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Rows, by the number of their condition.
    pub rows: Vec<u64>,
    /// Bytes they took.
    pub bytes: u64,
    /// What happened to rows that referred to them.
    pub referring: Referring,
}

/// Takes rows out of one table.
pub struct Eraser<'a> {
    session: &'a Control,
    table: &'a Table,
    keys: Vec<ForeignKey>,
    on: OnReference,
    /// The most rows of a step, as far as they lie on more than one page.
    most_rows: u64,
    /// Whether it rests as long as it works, because others use the database too.
    gently: bool,
    /// How often a step is tried that others are in the way of.
    tries: u32,
    progress: &'a Progress,
    stop: &'a Stop,
    copies: &'a mut ForgetCopies<'a>,
}

impl<'a> Eraser<'a> {
    /// For `table`, in the session's database.
    ///
    /// # Errors
    /// The server's.
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

    /// Gives up after `tries` at a step, each of which waits a second for others.
    pub fn trying(&mut self, tries: u32) -> &mut Self {
        self.tries = tries;
        self
    }

    /// Takes out every row to which one of `conditions` applies; it counts for the first that does.
    ///
    /// # Errors
    /// The server's; TryLater (75) when somebody holds rows for too long. What is gone by then stays so.
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
            if !self.session.row("looking whether rows are left", &left, &[])?.get::<_, bool>(0) {
                break;
            }
        }
        Ok(erased)
    }

    /// Takes out the rows with these keys.
    ///
    /// # Errors
    /// As [`Self::by_conditions`].
    pub fn by_keys(&mut self, keys: &[String]) -> Result<Erased> {
        let mut erased = Erased { rows: vec![0], ..Erased::default() };
        let key = nexus_postgres::quote::identifier(&self.table.place().key);
        let condition = format!("{key} = ANY ({})", self.table.key_array(keys));
        for heap in self.table.heaps() {
            self.step(&heap.name, &condition, "0", &mut erased)?;
        }
        // A copy may be there of a row that is not.
        (self.copies)(keys)?;
        Ok(erased)
    }

    /// Takes out the row with this key, if it is the agent's.
    ///
    /// # Errors
    /// As [`Self::by_conditions`].
    pub fn by_key_of(&mut self, key: &str, agent: &str) -> Result<Erased> {
        let mut erased = Erased { rows: vec![0], ..Erased::default() };
        let condition = self.table.is_of(key, agent);
        for heap in self.table.heaps() {
            self.step(&heap.name, &condition, "0", &mut erased)?;
        }
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
            // The last step takes what was added since, too.
            let end =
                if next < heap.pages { format!(" AND ctid < '({next},0)'::tid") } else { String::new() };
            let began = Instant::now();
            let here = format!("ctid >= '({page},0)'::tid{end} AND ({any})");
            let rows = self.step(&heap.name, &here, &which, erased)?;
            let took = began.elapsed();
            self.progress.advance(u64::from(next.min(heap.pages) - page) * Heap::PAGE);
            if took > LONG || rows > self.most_rows {
                pages = (pages / 2).max(1);
            } else if took < LONG / 2 && rows < self.most_rows / 2 {
                pages = (pages * 2).min(MOST_PAGES);
            }
            page = next;
            if self.gently {
                // As long as we worked others have the machine to themselves: this is what keeps their times.
                thread::sleep(took.min(Duration::from_secs(1)));
            }
        }
        Ok(())
    }

    /// One step: deletes what `condition` says; `which` numbers each row's condition. Gives how many rows went.
    fn step(&mut self, heap: &str, condition: &str, which: &str, erased: &mut Erased) -> Result<u64> {
        let mut last = String::new();
        for attempt in 1..=self.tries {
            self.stop.check()?;
            match self.transaction(heap, condition, which)? {
                Ok((rows, following)) => {
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
                    return Ok(rows.len() as u64);
                }
                Err(busy) => last = busy,
            }
            thread::sleep(Duration::from_millis(50) * attempt);
        }
        Err(Failure::new(Exit::TryLater, format!("deleting rows of {}", self.table)).because(last).advise(
            "Somebody holds those rows: see pg_stat_activity. The next run goes on with what is left",
        ))
    }

    /// Deleted rows and the rows deleted with them, or the session that is in the way.
    fn transaction(
        &mut self,
        heap: &str,
        condition: &str,
        which: &str,
    ) -> Result<std::result::Result<(Vec<Row>, Following), String>> {
        let doing = format!("deleting rows of {}", self.table);
        // A foreign key that is checked late would refuse only after the copies are gone, and what is written before that.
        let begin = "BEGIN; SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL lock_timeout = '1s'";
        let delete = format!(
            "DELETE FROM ONLY {heap} WHERE {condition} RETURNING {} AS key, {which} AS which, {} AS bytes",
            self.table.key_text(),
            self.table.row_bytes()
        );
        let ready = match self.session.try_run(begin)? {
            Ok(()) => self.hold_still()?,
            Err(error) => Err(error),
        };
        let outcome = match ready {
            Ok(()) => self.delete(heap, condition, &delete)?,
            Err(error) => Err(error),
        };
        let (rows, following) = match outcome {
            Ok(done) => done,
            Err(error) => {
                // A connection that is gone has rolled back by itself, and the error below says so.
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
            Ok(()) => Ok(Ok((rows, following))),
            Err(error) => refused(&doing, self.table, &error).map(Err),
        }
    }
}

impl Eraser<'_> {
    /// Refuses to run code of others. Until the transaction ends nobody adds a trigger or a foreign key to a table that is
    /// locked so.
    fn hold_still(&mut self) -> Result<std::result::Result<(), tokio_postgres::Error>> {
        if self.table.code_of_others() == CodeOfOthers::Trusted {
            return Ok(Ok(()));
        }
        let mut locked = BTreeSet::new();
        let mut names = BTreeSet::from([self.table.qualified()]);
        while !names.is_empty() {
            let list: Vec<&str> = names.iter().map(String::as_str).collect();
            let lock = format!("LOCK TABLE {} IN ROW EXCLUSIVE MODE", list.join(", "));
            if let Err(error) = self.session.try_run(&lock)? {
                return Ok(Err(error));
            }
            locked.append(&mut names);
            self.keys = foreign_keys(self.session, self.table)?;
            names =
                self.keys.iter().map(|key| key.table.clone()).filter(|name| !locked.contains(name)).collect();
        }
        let refused = code_of_others::refuse(self.session, self.table, &self.keys, self.on);
        if refused.is_err() {
            // The session may be used again.
            let _rolled_back = self.session.try_run("ROLLBACK")?;
        }
        refused.map(Ok)
    }

    /// Deletes the rows, and handles referring rows as the settings say.
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

/// What to say of somebody who was in the way.
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
