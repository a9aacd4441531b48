//! The screen: a function of the state, and of nothing else.

use std::collections::BTreeMap;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row, Sparkline, Table, Widget, Wrap},
};

use super::{
    figures::Figures,
    state::{Condition, State, Watched},
};

const COLUMNS: [(&str, u16); 12] = [
    ("cmd/s", 7),
    ("confl/s", 7),
    ("5xx/s", 6),
    ("p50", 7),
    ("p99", 7),
    ("sockets", 7),
    ("streams", 7),
    ("graphs", 6),
    ("lag", 9),
    ("parked", 6),
    ("memory", 8),
    ("up", 5),
];

const HISTORY_HEIGHT: u16 = 8;
/// Lines of a screen that is printed; what would be below them is cut.
const HEIGHT_MAX: u16 = 400;

/// Draws everything into this part of the screen.
pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let servers = servers_height(state);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(servers),
        Constraint::Length(HISTORY_HEIGHT),
        Constraint::Min(3),
    ]);
    let [title, table, middle, bottom] = rows.areas(area);
    draw_title(state, title, buffer);
    draw_servers(state, table, buffer);
    let [left, right] = Layout::horizontal([Constraint::Min(30), Constraint::Length(34)]).areas(middle);
    draw_history(state, left, buffer);
    draw_outcomes(state, right, buffer);
    draw_notes(state, bottom, buffer);
}

fn servers_height(state: &State) -> u16 {
    u16::try_from(state.servers.len()).unwrap_or(HEIGHT_MAX).saturating_add(3)
}

/// Of all but the notes.
fn fixed_height(state: &State) -> u16 {
    servers_height(state).saturating_add(1 + HISTORY_HEIGHT)
}

fn draw_title(state: &State, area: Rect, buffer: &mut Buffer) {
    let paused = if state.is_paused { " · paused" } else { "" };
    let servers = match state.servers.len() {
        1 => "1 server".to_owned(),
        n => format!("{n} servers"),
    };
    let left = format!("dao-api monitor · {servers} · every {} s{paused}", state.interval.as_secs_f64());
    Line::styled(left, Style::new().add_modifier(Modifier::BOLD)).render(area, buffer);
    Line::from("q quit  r look now  p pause").right_aligned().render(area, buffer);
}

fn draw_servers(state: &State, area: Rect, buffer: &mut Buffer) {
    let names = ["server", "state"].into_iter().chain(COLUMNS.iter().map(|(name, _)| *name));
    let header = Row::new(names.map(Cell::from)).style(Style::new().add_modifier(Modifier::DIM));
    let widths = [Constraint::Min(21), Constraint::Length(9)].into_iter();
    let widths = widths.chain(COLUMNS.iter().map(|(_, width)| Constraint::Length(*width)));
    let rows = state.servers.iter().map(row);
    let table = Table::new(rows, widths).header(header).block(Block::bordered().title("Servers"));
    Widget::render(table, area, buffer);
}

fn row(server: &Watched) -> Row<'_> {
    let (word, colour) = match &server.condition {
        Condition::Unknown => ("…", Color::Reset),
        Condition::Up { ready, .. } if ready.is_ready => ("ready", Color::Green),
        Condition::Up { .. } => ("not ready", Color::Yellow),
        Condition::Closed(_) => ("closed", Color::Yellow),
        Condition::Away(_) => ("away", Color::Red),
    };
    let mut cells = vec![Cell::from(server.name.as_str()), Cell::from(Span::styled(word, colour))];
    if let Condition::Up { figures, .. } = &server.condition {
        cells.extend(of(figures).map(Cell::from));
    }
    Row::new(cells)
}

/// One text a column.
fn of(figures: &Figures) -> [String; COLUMNS.len()] {
    let (unknown, none) = (|| "?".to_owned(), || "-".to_owned());
    let lag = figures.lag_commits.zip(figures.lag_s).map(|(commits, s)| match commits > 0.0 {
        true => format!("{} {}", number(commits), seconds(s)),
        false => "0".to_owned(),
    });
    [
        number(figures.commands_per_s()),
        number(figures.conflicts),
        number(figures.failures),
        figures.append_p50_s.map_or_else(none, seconds),
        figures.append_p99_s.map_or_else(none, seconds),
        number(figures.sockets),
        number(figures.streams),
        number(figures.hot_graphs),
        lag.unwrap_or_else(unknown),
        figures.parked_graphs.map_or_else(unknown, number),
        figures.memory_bytes.map_or_else(unknown, bytes),
        age(figures.uptime_s),
    ]
}

fn draw_history(state: &State, area: Rect, buffer: &mut Buffer) {
    let history = state.history();
    let width = usize::from(area.width.saturating_sub(2));
    let shown = &history[history.len().saturating_sub(width)..];
    let title = match shown.iter().max() {
        Some(max) => format!("Commands a second (at most {max})"),
        None => "Commands a second".to_owned(),
    };
    let line = Sparkline::default().data(shown.iter().copied()).style(Color::Cyan);
    Widget::render(line.block(Block::bordered().title(title)), area, buffer);
}

fn draw_outcomes(state: &State, area: Rect, buffer: &mut Buffer) {
    let mut outcomes: BTreeMap<&str, f64> = BTreeMap::new();
    for (word, rate) in state.figures().flat_map(|figures| &figures.commands) {
        *outcomes.entry(word).or_default() += rate;
    }
    let commits: f64 = state.figures().map(|figures| figures.commits).sum();
    let lines = outcomes.into_iter().chain([("commits", commits)]);
    let lines: Vec<Line<'_>> =
        lines.map(|(word, rate)| Line::from(format!("{word:<12}{:>12}/s", number(rate)))).collect();
    Paragraph::new(lines).block(Block::bordered().title("Outcomes")).render(area, buffer);
}

fn draw_notes(state: &State, area: Rect, buffer: &mut Buffer) {
    let notes = Paragraph::new(notes(state)).wrap(Wrap { trim: false });
    notes.block(Block::bordered().title("Notes")).render(area, buffer);
}

/// What each server is, and what is wrong with it.
fn notes(state: &State) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for server in &state.servers {
        let name = &server.name;
        match &server.condition {
            Condition::Unknown => {}
            Condition::Up { figures, ready } => {
                let Figures { version, durability, .. } = &**figures;
                let store = match (figures.is_store_available, ready.store.as_str()) {
                    (true, "") => "store available".to_owned(),
                    (true, store) => format!("store {store}"),
                    (false, _) => "STORE AWAY".to_owned(),
                };
                lines.push(Line::from(format!("{name}: {version} · {store} · durability {durability}")));
                let wrong = Style::new().fg(Color::Yellow);
                lines.extend(ready.reasons.iter().map(|reason| Line::styled(format!("  {reason}"), wrong)));
                if figures.laggards > 0.0 {
                    let text =
                        format!("  {} followers are being caught up from the log", number(figures.laggards));
                    lines.push(Line::from(text));
                }
            }
            Condition::Closed(why) => lines.push(Line::styled(format!("{name}: {why}"), Color::Yellow)),
            Condition::Away(why) => {
                lines.push(Line::styled(format!("{name} is away: {why}; it is asked again"), Color::Red));
            }
        }
    }
    lines
}

/// Three digits are enough to see what goes on.
fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        v if v < 9.95 && v.fract() != 0.0 => format!("{v:.1}"),
        v if v < 9_999.5 => format!("{v:.0}"),
        v if v < 999_500.0 => format!("{:.1}k", v / 1e3),
        v => format!("{:.1}M", v / 1e6),
    }
}

fn seconds(value: f64) -> String {
    match value {
        v if v < 1e-3 => format!("{:.0}µs", v * 1e6),
        v if v < 0.0995 => format!("{:.1}ms", v * 1e3),
        v if v < 1.0 => format!("{:.0}ms", v * 1e3),
        v if v < 99.5 => format!("{v:.1}s"),
        v => age(v),
    }
}

fn bytes(value: f64) -> String {
    let mib = value / f64::from(1 << 20);
    if mib < 1_024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1_024.0) }
}

/// A long time in its largest unit.
fn age(seconds: f64) -> String {
    let units = [(86_400.0, 'd'), (3_600.0, 'h'), (60.0, 'm')];
    let found = units.iter().find(|(unit, _)| seconds >= 2.0 * unit);
    found.map_or_else(
        || format!("{seconds:.0}s"),
        |(unit, word)| format!("{:.0}{word}", (seconds / unit).floor()),
    )
}

/// The screen as lines of text without colours, as high as what it has to say.
pub(super) fn as_text(state: &State, width: u16) -> String {
    let inner = usize::from(width.saturating_sub(2)).max(1);
    let notes: usize = notes(state).iter().map(|line| line.width().div_ceil(inner).max(1)).sum();
    let height = u16::try_from(notes + 2).unwrap_or(HEIGHT_MAX).saturating_add(fixed_height(state));
    let height = height.min(HEIGHT_MAX);
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw(state, area, &mut buffer);
    let line = |y: u16| {
        let cells = (0..width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    let mut text: String = (0..height).map(|y| line(y) + "\n").collect();
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::cli::monitor::{
        exposition::Exposition,
        state::{Look, Ready},
    };

    fn answered(applied: u32) -> Look {
        let text = format!(
            "dao_commands_total{{type=\"X\",outcome=\"applied\"}} {applied}\ndao_conflicts_total{{kind=\"same_field\"}} 0\n\
             dao_commits_total {applied}\ndao_append_duration_seconds_bucket{{le=\"0.001\"}} 0\n\
             dao_append_duration_seconds_bucket{{le=\"0.002\"}} {applied}\n\
             dao_append_duration_seconds_bucket{{le=\"+Inf\"}} {applied}\ndao_websocket_connections 12\n\
             dao_projection_lag_commits 3\ndao_projection_lag_seconds 1.5\ndao_projection_parked_graphs 1\n\
             process_resident_memory_bytes 104857600\ndao_uptime_seconds 7300\ndao_store_available 1\n\
             dao_build_info{{version=\"1.2.3\"}} 1\ndao_durability_info{{name=\"fsync\"}} 1\n"
        );
        let body = r#"{"status":"ready","store":"data/dao.db","projections":{"parked":
            [{"graphId":"broken","version":7,"reason":"no such event"}]}}"#;
        Look::Answered { metrics: Exposition::read(&text), ready: Ready::read(200, body) }
    }

    fn state() -> State {
        let mut servers = vec![Watched::new("http://a:1".to_owned()), Watched::new("http://b:2".to_owned())];
        let now = Instant::now();
        servers[0].take(answered(0), now);
        servers[0].take(answered(500), now + Duration::from_secs(2));
        servers[1].take(Look::Away("no server answers: refused".to_owned()), now);
        State { servers, interval: Duration::from_secs(2), is_paused: false }
    }

    #[test]
    fn the_screen_shows_what_goes_on_and_what_is_wrong() {
        let text = as_text(&state(), 140);
        for words in [
            "2 servers · every 2 s",
            "ready     250     0       0      1.5ms   2.0ms   12      0       0      3 1.5s    1      100 MiB  2h",
            "away",
            "Commands a second (at most 250)",
            "applied              250/s",
            "commits              250/s",
            "http://a:1: 1.2.3 · store data/dao.db · durability fsync",
            "broken is parked at version 7: no such event",
            "http://b:2 is away: no server answers: refused; it is asked again",
        ] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
    }

    #[test]
    fn it_fits_any_terminal() {
        for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 100)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
            let drawn = terminal.draw(|frame| draw(&state(), frame.area(), frame.buffer_mut()));
            drawn.expect("it is drawn");
        }
    }

    #[test]
    fn a_server_that_comes_back_is_shown_again() {
        let mut state = state();
        state.servers[1].take(answered(5), Instant::now());
        assert!(!as_text(&state, 140).contains("away"));
    }

    #[test]
    fn figures_are_short() {
        let numbers = [0.0, 0.25, 9.96, 10.0, 1234.0, 12_345.0, 1_234_567.0].map(number);
        assert_eq!(numbers, ["0", "0.2", "10", "10", "1234", "12.3k", "1.2M"]);
        assert_eq!(
            [0.000_15, 0.0015, 0.25, 2.5, 7_300.0].map(seconds),
            ["150µs", "1.5ms", "250ms", "2.5s", "2h"]
        );
    }
}
