//! What commands write to standard output.

use std::{
    fmt::Display,
    io::{self, BufWriter, Write},
};

use super::error::CliError;

/// `1 graph`, `2 graphs`.
pub(super) fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1.into() { "" } else { "s" })
}

/// Writes to standard output. A reader that closes it early, as `head` does, is not a failure.
pub(super) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), CliError> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CliError::new(format!("the output can't be written: {error}"))),
    }
}
