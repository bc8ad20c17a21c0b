//! Mail to port 25 of this machine (RFC 5321), where the mail program is setuid root: nothing that NEXUS runs may become root,
//! and a mail server that has such a program (exim, sendmail) listens there.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// For each line.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 64 << 10;

/// Hands `message` over for `to`; returns once it is taken. The sender is empty, as for every message that no machine shall
/// answer (RFC 3834).
///
/// # Errors
/// The I/O error, or what the server said instead of yes.
pub(super) fn send(port: u16, host: &str, to: &str, message: &str) -> Result<()> {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (mut answers, mut stream) = (BufReader::new(stream.try_clone()?.take(LONGEST)), stream);
    // A user of this machine: servers want a whole address here.
    let at = if to.contains('@') { "" } else { "@localhost" };
    expect(&mut answers, "2")?;
    for (command, answer) in [
        (format!("HELO {host}"), "2"),
        ("MAIL FROM:<>".to_owned(), "2"),
        (format!("RCPT TO:<{to}{at}>"), "2"),
        ("DATA".to_owned(), "3"),
        (lines(message), "2"),
    ] {
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        expect(&mut answers, answer)?;
    }
    // It has taken the message; whether it says goodbye is its own affair.
    let _goodbye = stream.write_all(b"QUIT\r\n");
    Ok(())
}

/// The message with the ends of lines of SMTP, no line of it a dot alone but the last, which ends it.
fn lines(message: &str) -> String {
    let line = |line: &str| format!("{}{line}\r\n", if line.starts_with('.') { "." } else { "" });
    message.lines().map(line).collect::<String>() + "."
}

/// Reads an answer of one line or several ("250-…", "250 …"), which must begin with `wanted`.
fn expect(answers: &mut impl BufRead, wanted: &str) -> Result<()> {
    loop {
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the server hung up"));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            let line = line.trim_end();
            return if line.starts_with(wanted) {
                Ok(())
            } else {
                Err(Error::other(format!("the server answered \"{line}\"")))
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn no_line_of_a_message_ends_it() {
        assert_eq!(lines("a\n.\n..b\n"), "a\r\n..\r\n...b\r\n.");
    }

    #[test]
    fn an_answer_may_have_several_lines_and_must_be_yes() {
        assert!(expect(&mut &b"250-a\r\n250 b\r\n"[..], "2").is_ok());
        let no = expect(&mut &b"550 5.1.1 no such user\r\n"[..], "2").unwrap_err();
        assert_eq!(no.to_string(), "the server answered \"550 5.1.1 no such user\"");
        assert!(expect(&mut &b""[..], "2").is_err());
    }

    #[test]
    fn the_server_gets_the_message_as_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let (mut reader, mut writer) = (BufReader::new(stream.try_clone().unwrap()), stream);
            writer.write_all(b"220 hello\r\n").unwrap();
            let mut heard = Vec::new();
            while heard.last().is_none_or(|line| line != "QUIT\r\n") {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let answer = match line.as_str() {
                    "DATA\r\n" => "354 go on\r\n",
                    ".\r\n" => "250 taken\r\n",
                    _ if heard.contains(&"DATA\r\n".to_owned()) => "",
                    _ => "250 yes\r\n",
                };
                heard.push(line);
                writer.write_all(answer.as_bytes()).unwrap();
            }
            heard.concat()
        });
        send(port, "h", "root", "Subject: x\n\n.dot\n").unwrap();
        assert_eq!(
            server.join().unwrap(),
            "HELO h\r\nMAIL FROM:<>\r\nRCPT TO:<root@localhost>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n"
        );
    }
}
