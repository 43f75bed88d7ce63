//! A way to the queue that swallows one kind of call.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Forwards connections, but for a request that names `swallowed`: that is told, and goes no further.
pub(crate) fn swallowing(upstream: SocketAddr, swallowed: &'static str) -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, told) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(upstream).unwrap();
            let (back_from, back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || copy(back_from, back_to, None));
            let seen = seen.clone();
            std::thread::spawn(move || copy(client, server, Some((swallowed, seen))));
        }
    });
    (address, told)
}

fn copy(mut from: TcpStream, mut to: TcpStream, swallow: Option<(&str, Sender<()>)>) {
    let mut bytes = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if let Some((name, seen)) = &swallow
            && String::from_utf8_lossy(&bytes[..length]).contains(name)
        {
            seen.send(()).ok();
            // Open, and silent: whoever asked waits for the answer.
            while matches!(from.read(&mut bytes), Ok(1..)) {}
            return;
        }
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}
