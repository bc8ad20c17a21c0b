//! One short session with PostgreSQL: every step has a limit, because a server that hangs takes the connection and says
//! nothing.

use std::path::Path;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure};
use nexus_postgres::control;
use nexus_postgres::failure::from_client;
use nexus_postgres::server::{Server, ServerSettings};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Row};

use crate::APPLICATION;
use crate::finding::Finding;
use crate::look::Answer;

/// For connecting and for each statement. One that waits for a lock gives up long before.
const LIMIT: Duration = Duration::from_secs(5);

/// What the session may not do: wait for others, or take long.
const MODEST: &str =
    "SET statement_timeout = '4s'; SET lock_timeout = '1s'; SET default_transaction_read_only = on";

/// A session.
pub(super) struct Session {
    client: Client,
    runtime: Runtime,
}

/// Why there is no answer.
pub(super) struct Trouble {
    /// What that says of the server.
    pub(super) answer: Answer,
    pub(super) sentence: String,
    pub(super) advice: &'static str,
}

impl Session {
    /// Connects to the database with the memory.
    pub(super) fn open(settings: &ServerSettings) -> Result<Self, Trouble> {
        let server =
            Server::from_settings(settings).map_err(|failure| Trouble::of(Answer::NotNow, &failure))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Trouble::answered(&error.to_string()))?;
        if server.is_local() {
            listens(settings)?;
        }
        let connecting = control::connect(&server, &settings.database, APPLICATION);
        let client = match runtime.block_on(async { tokio::time::timeout(LIMIT, connecting).await }) {
            Ok(Ok(client)) => client,
            Ok(Err(failure)) => return Err(Trouble::because(&failure)),
            Err(_) => return Err(Trouble::silent()),
        };
        let session = Self { client, runtime };
        session.wait(session.client.batch_execute(MODEST))?;
        Ok(session)
    }

    /// Runs a query.
    pub(super) fn rows(&self, sql: &str) -> Result<Vec<Row>, Trouble> {
        self.wait(self.client.query(sql, &[]))
    }

    /// Runs a query whose rows are one text each.
    pub(super) fn names(&self, sql: &str) -> Result<Vec<String>, Trouble> {
        Ok(self.rows(sql)?.iter().map(|row| row.get(0)).collect())
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Trouble> {
        match self.runtime.block_on(async { tokio::time::timeout(LIMIT, answer).await }) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Trouble::because(&from_client("asking PostgreSQL", &error))),
            Err(_) => Err(Trouble::silent()),
        }
    }
}

/// Whether somebody listens at all: what is missing says what is to be mended.
fn listens(settings: &ServerSettings) -> Result<(), Trouble> {
    let directory = Path::new(&settings.host);
    let socket = directory.join(format!(".s.PGSQL.{}", settings.port));
    if !directory.exists() {
        return Err(Trouble::absent(Answer::NoDirectory, &format!("{} is gone", directory.display())));
    }
    match socket.try_exists() {
        Ok(false) => Err(Trouble::absent(Answer::Absent, &format!("there is no {}", socket.display()))),
        _ => Ok(()),
    }
}

impl Trouble {
    /// What went wrong although the server lives.
    pub(super) fn answered(why: &str) -> Self {
        let sentence = format!("PostgreSQL cannot be looked at: {why}.");
        Self { answer: Answer::NotNow, sentence, advice: "See: docker logs nexus-postgres" }
    }

    fn silent() -> Self {
        let sentence = format!("PostgreSQL does not answer within {} seconds.", LIMIT.as_secs());
        Self {
            answer: Answer::Silent,
            sentence,
            advice: "See: docker logs nexus-postgres; systemctl status nexus-stack",
        }
    }

    fn absent(answer: Answer, why: &str) -> Self {
        let sentence = format!("PostgreSQL is not there: {why}.");
        Self { answer, sentence, advice: "See: systemctl status nexus-stack; docker ps --all" }
    }

    /// A server's refusal is an answer; that nobody takes the connection is none.
    fn because(failure: &Failure) -> Self {
        let answer = if is_answer(failure) { Answer::NotNow } else { Answer::Absent };
        Self::of(answer, failure)
    }

    fn of(answer: Answer, failure: &Failure) -> Self {
        let sentence = format!("PostgreSQL does not serve: {failure}");
        Self { answer, sentence, advice: "See: docker logs nexus-postgres; systemctl status nexus-stack" }
    }

    /// As a finding. A server that starts or stops is given a minute.
    pub(super) fn finding(&self) -> Finding {
        let patience = if self.answer == Answer::NotNow { 3 } else { 1 };
        Finding::critical("postgres", self.sentence.clone(), self.advice).patient(patience)
    }
}

/// Whether the server itself said it: then it has an SQLSTATE.
fn is_answer(failure: &Failure) -> bool {
    failure.exit() != Exit::Unavailable || failure.to_string().contains("SQLSTATE")
}

#[cfg(test)]
mod tests {
    use nexus_postgres::failure::{from_server, unreachable};

    use super::*;

    #[test]
    fn a_server_that_refuses_lives_and_one_that_nobody_hears_of_is_absent() {
        let starting = from_server("connecting", "57P03", "the database system is starting up");
        let full = from_server("connecting", "53300", "sorry, too many clients already");
        for failure in [starting, full] {
            assert_eq!(Trouble::because(&failure).answer, Answer::NotNow, "{failure}");
        }
        let refused = unreachable("connecting", "Connection refused");
        assert_eq!(Trouble::because(&refused).answer, Answer::Absent);
    }
}
