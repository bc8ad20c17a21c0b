//! A client of `nexus-embed`, for programs that run on tokio.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::protocol::{EmbedReply, LONGEST_ANSWER, Malformed, Refusal, Request, TextKind, Vectors};

/// The path of the socket.
pub const DEFAULT_SOCKET: &str = "/run/nexus/embed.sock";

/// A connection to `nexus-embed`. It opens on first use and stays open. It handles one request at a
/// time; use several clients for several requests at once.
///
/// It waits without a limit: the caller sets one with [`tokio::time::timeout`], and may use the
/// client again after a timeout.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    connection: Option<UnixStream>,
}

/// Why there are no vectors.
#[derive(Debug)]
pub enum EmbedError {
    /// The request is invalid: no texts, too many, or too long. Nothing was sent.
    Unsayable(Malformed),
    /// The service cannot be reached, or closed the connection twice.
    Unreachable(io::Error),
    /// The answer is malformed.
    Malformed(Malformed),
    /// The service refused, for this reason.
    Refused(Refusal),
}

impl fmt::Display for EmbedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsayable(why) => write!(f, "asking nexus-embed: {why}"),
            Self::Unreachable(error) => write!(f, "asking nexus-embed: {error}"),
            Self::Malformed(why) => write!(f, "nexus-embed answered {why}"),
            Self::Refused(refusal) => write!(f, "nexus-embed: {}", refusal.message),
        }
    }
}

impl std::error::Error for EmbedError {}

/// Why a try failed.
enum Broken {
    /// The connection closed before the first byte of an answer: the service had exited.
    BeforeAnswer(io::Error),
    /// Any other error.
    Otherwise(EmbedError),
}

impl Client {
    /// Creates a client of the service at `socket`, without connecting to it.
    pub fn new(socket: impl AsRef<Path>) -> Self {
        Self { socket: socket.as_ref().to_owned(), connection: None }
    }

    /// Returns the vectors of `texts`, one for each, in their order.
    ///
    /// # Errors
    /// See [`EmbedError`].
    pub async fn embed(&mut self, kind: TextKind, texts: Vec<String>) -> Result<Vectors, EmbedError> {
        let asked = texts.len();
        let frame = Request::new(kind, texts).to_frame().map_err(EmbedError::Unsayable)?;
        let vectors = match self.ask(&frame).await {
            // The service exited or was killed after the last request. A new connection starts it
            // again.
            Err(Broken::BeforeAnswer(_)) => match self.ask(&frame).await {
                Err(Broken::BeforeAnswer(error)) => return Err(EmbedError::Unreachable(error)),
                other => other,
            },
            other => other,
        };
        match vectors {
            Ok(vectors) if vectors.rows().len() == asked => Ok(vectors),
            Ok(_) => {
                self.connection = None;
                Err(EmbedError::Malformed(Malformed::of_count()))
            }
            Err(Broken::BeforeAnswer(error)) => Err(EmbedError::Unreachable(error)),
            Err(Broken::Otherwise(error)) => Err(error),
        }
    }

    /// Tries once. Keeps the connection only after a whole answer, so that the answer to a dropped
    /// call never reaches the next request.
    async fn ask(&mut self, frame: &[u8]) -> Result<Vectors, Broken> {
        let unreachable = |error| Broken::Otherwise(EmbedError::Unreachable(error));
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => UnixStream::connect(&self.socket).await.map_err(unreachable)?,
        };
        connection.write_all(frame).await.map_err(Broken::BeforeAnswer)?;
        let mut length = [0; 4];
        connection.read_exact(&mut length).await.map_err(Broken::BeforeAnswer)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST_ANSWER {
            return Err(Broken::Otherwise(EmbedError::Malformed(Malformed::of_length(length))));
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await.map_err(unreachable)?;
        let answer =
            EmbedReply::parse(&body).map_err(|error| Broken::Otherwise(EmbedError::Malformed(error)))?;
        self.connection = Some(connection);
        match answer {
            EmbedReply::Vectors(vectors) => Ok(vectors),
            EmbedReply::Refusal(refusal) => Err(Broken::Otherwise(EmbedError::Refused(refusal))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::UnixListener;
    use tokio::sync::Notify;

    use super::*;

    /// Answers one request per connection, then closes it, as a service that exits does.
    fn exiting_service(listener: UnixListener, connections: Arc<AtomicUsize>, arrived: Arc<Notify>) {
        tokio::spawn(async move {
            while let Ok((mut peer, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let mut length = [0; 4];
                peer.read_exact(&mut length).await.unwrap();
                let mut body = vec![0; u32::from_le_bytes(length) as usize];
                peer.read_exact(&mut body).await.unwrap();
                arrived.notify_one();
                let texts = Request::parse(&body).unwrap().texts;
                let values = texts.iter().map(|text| if text == "one" { 1.0 } else { -1.0 }).collect();
                let vectors = Vectors { version: "m@01234567".to_owned(), dimensions: 1, values };
                peer.write_all(&EmbedReply::Vectors(vectors).to_frame().unwrap()).await.unwrap();
            }
        });
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_service_that_has_exited_is_asked_again() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("embed.sock");
        runtime().block_on(async {
            let connections = Arc::new(AtomicUsize::new(0));
            exiting_service(UnixListener::bind(&socket).unwrap(), Arc::clone(&connections), Arc::default());
            let mut client = Client::new(&socket);
            for _ in 0..3 {
                let vectors =
                    client.embed(TextKind::Passage, vec!["one".to_owned(), "two".to_owned()]).await.unwrap();
                assert_eq!(vectors.values, [1.0, -1.0]);
            }
            assert_eq!(connections.load(Ordering::SeqCst), 3);
        });
    }

    #[test]
    fn a_service_that_always_closes_the_connection_is_unreachable() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("embed.sock");
        runtime().block_on(async {
            let listener = UnixListener::bind(&socket).unwrap();
            tokio::spawn(async move { while listener.accept().await.is_ok() {} });
            let mut client = Client::new(&socket);
            let error = client.embed(TextKind::Query, vec!["one".to_owned()]).await.unwrap_err();
            assert!(matches!(error, EmbedError::Unreachable(_)), "{error}");
        });
    }

    #[test]
    fn the_answer_to_a_dropped_request_is_discarded() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("embed.sock");
        runtime().block_on(async {
            let arrived = Arc::new(Notify::new());
            exiting_service(UnixListener::bind(&socket).unwrap(), Arc::default(), Arc::clone(&arrived));
            let mut client = Client::new(&socket);
            // The call is dropped when the request has arrived, before its answer is read.
            tokio::select! {
                biased;
                () = arrived.notified() => {}
                answer = client.embed(TextKind::Query, vec!["two".to_owned()]) => panic!("{answer:?}"),
            }
            let vectors = client.embed(TextKind::Query, vec!["one".to_owned()]).await.unwrap();
            assert_eq!(vectors.values, [1.0]);
        });
    }
}
