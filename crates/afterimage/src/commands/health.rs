//! `afterimage health`: asks a worker or the API of this machine how it is, for images that hold neither shell nor curl.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

use super::Outcome;

/// Longest wait for each step: who asks repeats it soon.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 4096;

/// 0 while the process makes progress or waits for good reason.
pub(super) fn run(listen: SocketAddr) -> anyhow::Result<Outcome> {
    let address = SocketAddr::new(reachable(listen.ip()), listen.port());
    let answer =
        ask(address).with_context(|| format!("nothing answers on {address}; --listen names another address"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(Outcome::Done),
        Some(status) => bail!("{address} answers {status}: {}", body.trim()),
        None => bail!("{address} does not speak HTTP"),
    }
}

/// Who listens everywhere is asked on this machine.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // 1.0: the answer ends with the connection.
    stream.write_all(format!("GET /healthz HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /healthz HTTP/1.0\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port())
    }

    #[test]
    fn only_200_is_well() {
        assert_eq!(run(answering("HTTP/1.1 200 OK\r\n\r\n")).unwrap(), Outcome::Done);
        let ill = run(answering("HTTP/1.1 503 Service Unavailable\r\n\r\nno progress\n")).unwrap_err();
        assert!(ill.to_string().ends_with("503: no progress"), "{ill}");
        assert!(run(answering("SSH-2.0\r\n")).is_err());
        assert!(run(([127, 0, 0, 1], 1).into()).is_err());
    }
}
