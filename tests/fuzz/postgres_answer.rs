//! Any reply of a server to a login and to COPY is refused in one line, or its rows are counted right. The session keeps nothing
//! else of it.
#![no_main]

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, sync_channel};

use libfuzzer_sys::fuzz_target;
use nexus_cli::stop::Stop;
use nexus_postgres::raw::RawSession;
use nexus_postgres::server::{Server, ServerSettings};
use secrecy::SecretString;

/// A server that replies with the given bytes, whatever the client sends.
struct Parrot {
    sayings: SyncSender<Vec<u8>>,
    server: Server,
    _directory: tempfile::TempDir,
}

static PARROT: LazyLock<Parrot> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let settings = ServerSettings {
        host: directory.path().to_str().unwrap().to_owned(),
        port: 1,
        user: "postgres".to_owned(),
        database: "nexus".to_owned(),
    };
    let server = Server::with_password(&settings, SecretString::from("secret"));
    let listener = UnixListener::bind(server.address()).unwrap();
    let (sayings, to_say) = sync_channel::<Vec<u8>>(1);
    std::thread::spawn(move || {
        for saying in to_say {
            let (mut client, _) = listener.accept().unwrap();
            // A client may close the connection early.
            let _said = client.write_all(&saying).and_then(|()| client.shutdown(Shutdown::Write));
        }
    });
    Parrot { sayings, server, _directory: directory }
});

fuzz_target!(|bytes: &[u8]| {
    PARROT.sayings.send(bytes.to_vec()).unwrap();
    let mut session = match RawSession::connect(&PARROT.server, "nexus", "fuzz", &Stop::default()) {
        Ok(session) => session,
        Err(failure) => return check(&failure),
    };
    let mut taken = 0;
    let copied = session.copy_out("copying", "COPY t TO STDOUT", |piece| {
        taken += piece.len() as u64;
        Ok(())
    });
    match copied {
        Ok(copied) => {
            assert_eq!(copied.bytes, taken);
            assert!(taken < bytes.len() as u64);
        }
        Err(failure) => return check(&failure),
    }
    if let Err(failure) = session.copy_in("copying back", "COPY t FROM STDIN", |_| Ok(0)) {
        check(&failure);
    }
});

fn check(failure: &nexus_cli::failure::Failure) {
    let said = failure.to_string();
    assert!(!said.contains('\n') && !said.contains("secret"));
}
