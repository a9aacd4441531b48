//! `dao-api monitor`: shows running servers in a terminal, from their `/metrics` and `/readyz`.
//!
//! The terminal is restored in every case: after a key, a signal or a panic. A server that does not answer is shown as
//! such and asked again. Not here: what the figures mean (`docs/metrics.md`).

mod exposition;
mod figures;
mod format;
mod screen;
mod state;
mod table;

use std::{
    io::{self, IsTerminal},
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use clap::Args;
use futures::future::join_all;
use ratatui::{
    DefaultTerminal,
    crossterm::{
        event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
        terminal,
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::timeout,
};

use self::{
    exposition::Exposition,
    state::{Look, Ready, State, Watched},
};
use super::{
    error::CliError,
    output::print,
    reach::{Secret, ServerAddress},
    watch::configured_server,
};
use crate::{
    client::{Server, Token, look},
    config::{Config, parse_duration},
};

/// The most time for an answer; after it, the next poll starts.
const PATIENCE: Duration = Duration::from_secs(5);
/// The width of a text screen without a terminal or `COLUMNS`.
const TEXT_WIDTH: u16 = 140;
/// The most columns that `COLUMNS` can set.
const TEXT_WIDTHS: RangeInclusive<u16> = 20..=1_000;
/// Waiting key presses, at most; more are dropped.
const KEYS_MAX: usize = 16;
/// How soon the thread that reads keys notices that it should end.
const KEY_POLL: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(super) struct Monitor {
    /// A server to ask, instead of the one at HOST and PORT; may be repeated
    #[arg(id = "url", long = "url", env = "DAO_URL", value_name = "URL", hide_env_values = true, value_parser = ServerAddress)]
    urls: Vec<Server>,
    /// The token to send, if the servers have keys; it needs admin on *
    #[arg(long, env = "DAO_TOKEN", value_name = "TOKEN", hide_env_values = true, value_parser = Secret)]
    token: Option<Token>,
    /// How often servers are asked
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    interval: Duration,
    /// Print one screen as text after one interval, and exit; exit code 1 if a server shows nothing
    #[arg(long)]
    once: bool,
}

/// The wish behind a key press.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Quit,
    LookNow,
    Pause,
    /// The terminal has another size, or was drawn over.
    Redraw,
}

impl Monitor {
    pub(super) async fn run(self, config: &Config) -> Result<(), CliError> {
        let servers = match self.urls.is_empty() {
            true => vec![configured_server(config)?],
            false => self.urls.clone(),
        };
        let servers: Vec<Server> = servers.into_iter().map(|s| s.with_token(self.token.clone())).collect();
        let watched = servers.iter().map(|server| Watched::new(server.to_string())).collect();
        let mut state = State { servers: watched, interval: self.interval, is_paused: false };
        if self.once {
            look_at_all(&servers, &mut state).await;
            tokio::time::sleep(self.interval).await;
            look_at_all(&servers, &mut state).await;
            let text = screen::as_text(&state, text_width());
            print(|out| out.write_all(text.as_bytes()))?;
            return all_shown(&state);
        }
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(CliError::new(
                "standard output is not a terminal: use --once to print one screen as text",
            ));
        }
        // Puts the terminal back also in a panic.
        let terminal = ratatui::try_init().map_err(|error| drawing(&error))?;
        let shown = show(terminal, &servers, &mut state).await;
        let restored = ratatui::try_restore().map_err(|error| drawing(&error));
        shown.and(restored)
    }
}

/// The width of the terminal, or `COLUMNS`, as in other programs.
fn text_width() -> u16 {
    let of_terminal =
        io::stdout().is_terminal().then(terminal::size).and_then(Result::ok).map(|(width, _)| width);
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    of_terminal.or_else(said).filter(|width| TEXT_WIDTHS.contains(width)).unwrap_or(TEXT_WIDTH)
}

/// Fails if the screen shows nothing of a server, and names it: scripts check the exit code.
fn all_shown(state: &State) -> Result<(), CliError> {
    let unshown: Vec<&str> =
        state.servers.iter().filter(|server| !server.is_shown()).map(|server| server.name.as_str()).collect();
    match unshown.is_empty() {
        true => Ok(()),
        false => Err(CliError::new(format!("no figures of {}: the notes say why", unshown.join(", ")))),
    }
}

fn drawing(error: &io::Error) -> CliError {
    CliError::new(format!("the terminal can't be drawn on: {error}; use --once to print one screen as text"))
}

/// Draws, polls and handles keys, until it is stopped.
async fn show(mut terminal: DefaultTerminal, servers: &[Server], state: &mut State) -> Result<(), CliError> {
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| CliError::new(format!("the termination signal can't be watched: {error}")))?;
    let (sender, mut wishes) = mpsc::channel(KEYS_MAX);
    std::thread::spawn(move || read_keys(&sender));
    let mut tick = tokio::time::interval(state.interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let drawn = terminal.draw(|frame| screen::draw(state, frame.area(), frame.buffer_mut()));
        drawn.map_err(|error| drawing(&error))?;
        // Each branch is cancel-safe: what is not taken now is taken next time.
        let wish = tokio::select! {
            _ = terminate.recv() => Wish::Quit,
            wish = wishes.recv() => wish.unwrap_or(Wish::Quit),
            _ = tick.tick(), if !state.is_paused => Wish::LookNow,
        };
        match wish {
            Wish::Quit => return Ok(()),
            Wish::Pause => state.is_paused = !state.is_paused,
            Wish::Redraw => {}
            Wish::LookNow => {
                // Quitting must not wait for a server that does not answer.
                tokio::select! {
                    () = look_at_all(servers, state) => {}
                    () = quit(&mut wishes) => return Ok(()),
                    _ = terminate.recv() => return Ok(()),
                }
            }
        }
    }
}

async fn quit(wishes: &mut mpsc::Receiver<Wish>) {
    while wishes.recv().await.is_some_and(|wish| wish != Wish::Quit) {}
}

/// Reads keys on a thread, since reading a terminal blocks. It ends when its receiver is dropped.
fn read_keys(wishes: &mpsc::Sender<Wish>) {
    while !wishes.is_closed() {
        let wish = match event::poll(KEY_POLL) {
            Ok(false) => continue,
            Ok(true) => event::read().map(|event| wish_of(&event)),
            Err(error) => Err(error),
        };
        match wish {
            // Keys beyond the bound are dropped.
            Ok(wish) => drop(wish.map(|wish| wishes.try_send(wish))),
            Err(_) => return, // the terminal is gone, and with the sender the loop ends
        }
    }
}

fn wish_of(event: &Event) -> Option<Wish> {
    let key = match event {
        Event::Resize(..) => return Some(Wish::Redraw),
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        _ => return None,
    };
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => Some(Wish::Quit),
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Wish::Quit),
        KeyCode::Char('r') => Some(Wish::LookNow),
        KeyCode::Char('p') => Some(Wish::Pause),
        _ => None,
    }
}

async fn look_at_all(servers: &[Server], state: &mut State) {
    let looks = join_all(servers.iter().map(look_at)).await;
    for (watched, (look, at)) in state.servers.iter_mut().zip(looks) {
        watched.take(look, at);
    }
}

async fn look_at(server: &Server) -> (Look, Instant) {
    let look = match timeout(PATIENCE, ask(server)).await {
        Ok(look) => look,
        Err(_late) => Look::Away(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    (look, Instant::now())
}

async fn ask(server: &Server) -> Look {
    let metrics = match look(server, "/metrics").await {
        Ok((200, text)) => Exposition::read(&text),
        Ok((401 | 403, _)) => {
            return Look::Closed(
                "its metrics need admin on *: use --token (see dao-api token --help)".to_owned(),
            );
        }
        Ok((404, _)) => return Look::Closed("it has no metrics: METRICS_ENABLED is off there".to_owned()),
        Ok((status, _)) => return Look::Away(format!("it answered with status {status}")),
        Err(error) => return Look::Away(error.to_string()),
    };
    match look(server, "/readyz").await {
        Ok((status, body)) => Look::Answered { metrics, ready: Ready::read(status, &body) },
        Err(error) => Look::Away(error.to_string()),
    }
}
