//! An HTTP client for the API's socket, with persistent connections.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use serde_json::Value;
use tokio::net::UnixStream;

/// A client of the API.
pub(crate) struct Client {
    socket: PathBuf,
    agent: String,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// Creates a client of the API at `socket`, as `agent`.
    pub(crate) fn new(socket: &Path, agent: &str) -> Self {
        Self { socket: socket.to_owned(), agent: agent.to_owned(), idle: Mutex::default() }
    }

    /// `GET`s `path`.
    ///
    /// # Errors
    /// Unavailable (69), also for a status other than 2xx.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// `POST`s `body` to `path`.
    ///
    /// # Errors
    /// Unavailable (69), also for a status other than 2xx.
    pub(crate) async fn post(&self, path: &str, body: Bytes) -> Result<Value> {
        self.ask(Method::POST, path, body).await
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Value> {
        let doing = || format!("asking the API at {} for {path}", self.socket.display());
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut sender = match idle.filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "localhost")
            .header("Content-Type", "application/json")
            .header("X-Nexus-Agent", &self.agent)
            .body(Full::new(body))
            .or_fail(Exit::Software, doing)?;
        let response = sender.send_request(request).await.or_fail(Exit::Unavailable, doing)?;
        let status = response.status();
        let bytes = response.into_body().collect().await.or_fail(Exit::Unavailable, doing)?.to_bytes();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        let value: Value = serde_json::from_slice(&bytes).or_fail(Exit::Unavailable, doing)?;
        if status.is_success() {
            Ok(value)
        } else {
            let why = value["message"].as_str().unwrap_or("no message").to_owned();
            Err(Failure::new(Exit::Unavailable, doing()).because(format!("{status}: {why}")))
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let doing = || format!("connecting to the API at {}", self.socket.display());
        let stream = UnixStream::connect(&self.socket)
            .await
            .or_fail(Exit::Unavailable, doing)
            .map_err(|failure| failure.advise("Check it: systemctl status nexus-api.socket"))?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.or_fail(Exit::Unavailable, doing)?;
        // Ends with the sender. The sender's requests get its error.
        tokio::spawn(connection);
        Ok(sender)
    }
}
