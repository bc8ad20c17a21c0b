//! Asks nexus-docker by hand: `ask SOCKET '{"request":"containers"}'`; input, if any, on standard input.

use std::io;
use std::process::ExitCode;

use nexus_core::docker::client::{Client, failure_of};
use nexus_core::docker::protocol::Request;
use nexus_core::failure::{Exit, Failure, OrFail, Result};

fn main() -> ExitCode {
    match ask() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ask: {failure}");
            failure.exit_code()
        }
    }
}

fn ask() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, request] = arguments.as_slice() else {
        return Err(Failure::new(Exit::Usage, "ask SOCKET REQUEST"));
    };
    let request: Request = serde_json::from_str(request).or_fail(Exit::Usage, || "reading the request")?;
    let client = Client::at(socket);
    let mut stdout = io::stdout().lock();
    if request.takes_input() {
        let said = client.send(&request, &mut io::stdin().lock())?;
        return io::copy(&mut said.as_slice(), &mut stdout)
            .map(drop)
            .map_err(|e| failure_of(e, || "answering"));
    }
    let mut answer = client.ask(&request)?;
    io::copy(&mut answer, &mut stdout).map_err(|e| failure_of(e, || "answering"))?;
    eprint!("{}", answer.stderr());
    Ok(())
}
