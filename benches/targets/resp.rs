//! As much of Redis' protocol as the benchmark needs.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
};

use crate::http::broken;

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Text(Vec<u8>),
    Integer(i64),
    List(Vec<Reply>),
    Null,
}

impl Reply {
    /// A whole number, also where it comes as text.
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Self::List(_) | Self::Null => None,
        }
    }

    /// Text, empty if it is none.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        }
    }
}

/// A blocking connection.
pub(crate) struct Redis {
    stream: BufReader<TcpStream>,
    out: Vec<u8>,
}

impl Redis {
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(64 << 10, stream), out: Vec::new() })
    }

    /// Sends a command without waiting for its reply.
    pub(crate) fn send(&mut self, arguments: &[&[u8]]) -> io::Result<()> {
        self.out.clear();
        write!(self.out, "*{}\r\n", arguments.len())?;
        for argument in arguments {
            write!(self.out, "${}\r\n", argument.len())?;
            self.out.extend_from_slice(argument);
            self.out.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&self.out)
    }

    /// The next reply; an error reply is an error.
    pub(crate) fn receive(&mut self) -> io::Result<Reply> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let number = || text[1..].parse::<i64>().map_err(|_| broken("a reply is not understood"));
        Ok(match line.first() {
            Some(b'+') => Reply::Text(text[1..].into()),
            Some(b':') => Reply::Integer(number()?),
            Some(b'-') => return Err(broken(text)),
            Some(b'$') if number()? < 0 => Reply::Null,
            Some(b'$') => {
                let mut bytes = vec![0; number()? as usize + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Text(bytes)
            }
            Some(b'*') => Reply::List((0..number()?).map(|_| self.receive()).collect::<io::Result<_>>()?),
            _ => return Err(broken("a reply is not understood")),
        })
    }

    /// Sends a command and waits for its reply.
    pub(crate) fn ask(&mut self, arguments: &[&[u8]]) -> io::Result<Reply> {
        self.send(arguments)?;
        self.receive()
    }
}
