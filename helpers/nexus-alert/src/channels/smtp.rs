//! Mail through port 25 of this machine (RFC 5321), where the mail program is setuid root. Nothing that NEXUS runs may become
//! root, and a mail server with such a program (exim, sendmail) listens on that port.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The timeout for the connection and for each line.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes to read of all replies.
const LONGEST: u64 = 64 << 10;

/// Sends `message` to `to`, and returns when the server has accepted it. The sender is empty, so that no machine replies
/// (RFC 3834).
///
/// # Errors
/// The I/O error, or a negative reply of the server.
pub(super) fn send(port: u16, host: &str, to: &str, message: &str) -> Result<()> {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let (mut replies, mut stream) = (BufReader::new(stream.try_clone()?.take(LONGEST)), stream);
    // Servers require a domain here, which a user of this machine does not have.
    let at = if to.contains('@') { "" } else { "@localhost" };
    expect(&mut replies, "2")?;
    for (command, reply) in [
        (format!("HELO {host}"), "2"),
        ("MAIL FROM:<>".to_owned(), "2"),
        (format!("RCPT TO:<{to}{at}>"), "2"),
        ("DATA".to_owned(), "3"),
        (lines(message), "2"),
    ] {
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        expect(&mut replies, reply)?;
    }
    // The message is accepted already.
    let _goodbye = stream.write_all(b"QUIT\r\n");
    Ok(())
}

/// Converts the message to SMTP: CRLF line ends, doubled leading dots, and a final line that is a single dot.
fn lines(message: &str) -> String {
    let line = |line: &str| format!("{}{line}\r\n", if line.starts_with('.') { "." } else { "" });
    message.lines().map(line).collect::<String>() + "."
}

/// Reads a reply of one or more lines ("250-…", "250 …"), which must begin with `wanted`.
fn expect(replies: &mut impl BufRead, wanted: &str) -> Result<()> {
    loop {
        let mut line = String::new();
        if replies.read_line(&mut line)? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
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
    fn no_line_of_a_message_ends_the_message() {
        assert_eq!(lines("a\n.\n..b\n"), "a\r\n..\r\n...b\r\n.");
    }

    #[test]
    fn a_reply_may_have_several_lines_and_must_be_positive() {
        assert!(expect(&mut &b"250-a\r\n250 b\r\n"[..], "2").is_ok());
        let no = expect(&mut &b"550 5.1.1 no such user\r\n"[..], "2").unwrap_err();
        assert_eq!(no.to_string(), "the server answered \"550 5.1.1 no such user\"");
        assert!(expect(&mut &b""[..], "2").is_err());
    }

    #[test]
    fn the_server_gets_the_whole_message() {
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
