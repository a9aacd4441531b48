//! The load generator. It shares the machine with what it measures, so it does as little as it can:
//! one thread, requests that are ready but for a few bytes, answers that are hardly looked at.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    Outcome,
    http::{Answer, BUFFER_BYTES, Connection, Head, broken},
    requests::Requests,
};

/// How long before its time a sender of the open loop wakes up, to then wait for it awake: a sleep
/// ends late by about this much.
const WAKE_EARLY: Duration = Duration::from_micros(100);

/// What a closed loop came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Operations a second, as [`Requests::operations`] counts them.
    pub(crate) rate: f64,
    /// Bytes of one body, on average.
    pub(crate) body_bytes: f64,
}

/// Each client sends its next request when the one before is answered, for `duration`.
pub(crate) fn closed_loop<R: Requests + 'static>(
    address: SocketAddr,
    clients: Vec<R>,
    duration: Duration,
) -> Outcome<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut connections = Vec::new();
        for client in clients {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            connections.push((stream, client));
        }
        let until = Instant::now() + duration;
        let mut loops = JoinSet::new();
        for (stream, client) in connections {
            loops.spawn(keep_asking(stream, client, until));
        }
        let (mut operations, mut answers, mut bytes) = (0, 0, 0);
        while let Some(ended) = loops.join_next().await {
            let (o, a, b) = ended??;
            (operations, answers, bytes) = (operations + o, answers + a, bytes + b);
        }
        Ok(Tally {
            rate: operations as f64 / duration.as_secs_f64(),
            body_bytes: bytes as f64 / (answers as f64).max(1.0),
        })
    })
}

/// Operations, answers and bytes of bodies until the time is over; what is answered later is not
/// counted.
async fn keep_asking<R: Requests>(
    mut stream: TcpStream,
    mut client: R,
    until: Instant,
) -> Outcome<(u64, u64, u64)> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut operations, mut answers, mut bytes) = (0, 0, 0);
    loop {
        stream.write_all(client.next()).await?;
        let mut filled = 0;
        let head = loop {
            let read = stream.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Err(broken("the server closed a connection").into());
            }
            filled += read;
            if let Some(head) = Head::parse(&buffer[..filled])? {
                break head;
            }
        };
        let mut missing = (head.bytes + head.body_bytes).saturating_sub(filled);
        while missing > 0 {
            // The end of a large body is of no interest: it goes over what came before it.
            let from = if filled + missing <= buffer.len() { filled } else { buffer.len() / 2 };
            let to = buffer.len().min(from + missing);
            let read = stream.read(&mut buffer[from..to]).await?;
            if read == 0 {
                return Err(broken("the server closed a connection").into());
            }
            (missing, filled) = (missing - read, from + read);
        }
        let answer = Answer { head, bytes: &buffer[..filled] };
        if !client.accepts(&answer) {
            return Err(format!("an unexpected answer: {}", answer.shown()).into());
        }
        if Instant::now() >= until {
            return Ok((operations, answers, bytes));
        }
        operations += client.operations();
        answers += 1;
        bytes += head.body_bytes as u64;
    }
}

/// Sends `rate` requests a second whatever the answers do, spread over the clients. A latency is
/// counted from the moment its request was due, so that a server that holds up a client does not
/// hide the time that those behind it waited ("coordinated omission").
pub(crate) fn open_loop<R: Requests + Send + 'static>(
    address: SocketAddr,
    clients: Vec<R>,
    rate: f64,
    duration: Duration,
) -> Outcome<Histogram<u64>> {
    let interval = Duration::from_secs_f64(1.0 / rate);
    let (turn, start) = (interval * clients.len() as u32, Instant::now() + Duration::from_millis(50));
    let senders: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(index, client)| {
            let first = start + interval * index as u32;
            thread::spawn(move || keep_time(address, client, first, turn, start + duration))
        })
        .collect();
    let mut all = histogram()?;
    for sender in senders {
        all.add(sender.join().map_err(|_| "a sender panicked")??)?;
    }
    Ok(all)
}

fn keep_time<R: Requests>(
    address: SocketAddr,
    mut client: R,
    first: Instant,
    turn: Duration,
    until: Instant,
) -> Outcome<Histogram<u64>> {
    let mut connection = Connection::open(address)?;
    let (mut latencies, mut due) = (histogram()?, first);
    while due < until {
        let request = client.next();
        thread::sleep(due.saturating_duration_since(Instant::now()).saturating_sub(WAKE_EARLY));
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        let answer = connection.exchange(request)?;
        let latency = due.elapsed();
        if !client.accepts(&answer) {
            return Err(format!("an unexpected answer: {}", answer.shown()).into());
        }
        latencies.saturating_record(latency.as_nanos() as u64);
        due += turn;
    }
    Ok(latencies)
}

/// Nanoseconds up to ten seconds, to three digits.
pub(crate) fn histogram() -> Outcome<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 10_000_000_000, 3)?)
}
