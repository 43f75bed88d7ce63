//! Standard output: only what was asked for. Logs and errors go to standard error.

use std::io::{self, Write};

/// Prints, and takes a reader that has seen enough (`| head`) for a good end.
pub(crate) fn print(text: &str) -> io::Result<()> {
    print_more(text).map(|_| ())
}

/// Prints, where more may follow. Does anybody read on?
pub(crate) fn print_more(text: &str) -> io::Result<bool> {
    print_bytes(text.as_bytes())
}

/// [`print_more`], where what is printed need not be text.
pub(crate) fn print_bytes(bytes: &[u8]) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        done => done.map(|()| true),
    }
}

/// Says in one line on standard error why there is no better end.
pub(crate) fn complain(problem: impl std::fmt::Display) {
    say(format_args!("error: {problem}"));
}

/// Says on standard error what is no part of the answer, so that a pipe gets the answer alone.
pub(crate) fn note(what: impl std::fmt::Display) {
    say(format_args!("{what}"));
}

/// Says in one line on standard error what somebody should know who reads the answer.
pub(crate) fn warn(what: impl std::fmt::Display) {
    say(format_args!("warning: {what}"));
}

/// Where nobody listens there is nobody to tell of it.
fn say(line: std::fmt::Arguments<'_>) {
    let _unheard = writeln!(io::stderr(), "{line}");
}
