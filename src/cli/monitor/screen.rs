//! The screen, as a function of the state only.

use std::collections::BTreeMap;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::Line,
    widgets::{Block, Paragraph, Sparkline, Widget, Wrap},
};

use super::{
    figures::Figures,
    format::number,
    state::{Condition, State},
    table,
};

/// The minimum height of the history; it also takes the rest.
const HISTORY_HEIGHT_MIN: u16 = 8;
/// The minimum height of the notes.
const NOTES_HEIGHT_MIN: u16 = 3;
/// The width of a line of outcomes with its frame.
const OUTCOMES_WIDTH: u16 = 28;
/// The width of the longest route with its rate and frame.
const ROUTES_WIDTH: u16 = 54;
/// The width that a useful history needs beside the rest.
const HISTORY_WIDTH_MIN: u16 = 30;
/// The most routes shown.
const ROUTES_MAX: usize = 6;
const KEYS: &str = "q quit  r look now  p pause";
/// The most lines of a printed screen; the rest is cut.
const HEIGHT_MAX: u16 = 400;

/// Draws everything into this part of the screen.
pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let notes = area.height.saturating_sub(fixed_height(state)).max(NOTES_HEIGHT_MIN);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(servers_height(state)),
        Constraint::Min(HISTORY_HEIGHT_MIN),
        Constraint::Length(notes_height(state, area.width).min(notes)),
    ]);
    let [title, servers, middle, bottom] = rows.areas(area);
    draw_title(state, title, buffer);
    table::draw(state, servers, buffer);
    let has_room = middle.width >= HISTORY_WIDTH_MIN + OUTCOMES_WIDTH + ROUTES_WIDTH;
    let routes_width = if has_room { ROUTES_WIDTH } else { 0 };
    let has_outcomes = middle.width >= HISTORY_WIDTH_MIN + OUTCOMES_WIDTH;
    let outcomes_width = if has_outcomes { OUTCOMES_WIDTH } else { 0 };
    let [left, centre, right] = Layout::horizontal([
        Constraint::Min(0),
        Constraint::Length(outcomes_width),
        Constraint::Length(routes_width),
    ])
    .areas(middle);
    draw_history(state, left, buffer);
    draw_outcomes(state, centre, buffer);
    draw_routes(state, right, buffer);
    draw_notes(state, bottom, buffer);
}

/// The height of the notes, wrapped to this width, with their frame.
fn notes_height(state: &State, width: u16) -> u16 {
    let inner = usize::from(width.saturating_sub(2)).max(1);
    // Wrapped words take up to a line more than letters would.
    let lines = |line: &Line<'_>| match line.width() {
        fits if fits <= inner => 1,
        long => long.div_ceil(inner) + 1,
    };
    let lines: usize = notes(state).iter().map(lines).sum();
    u16::try_from(lines + 2).unwrap_or(HEIGHT_MAX)
}

fn servers_height(state: &State) -> u16 {
    u16::try_from(state.servers.len()).unwrap_or(HEIGHT_MAX).saturating_add(3)
}

/// The height of everything but the notes.
fn fixed_height(state: &State) -> u16 {
    servers_height(state).saturating_add(1 + HISTORY_HEIGHT_MIN)
}

fn draw_title(state: &State, area: Rect, buffer: &mut Buffer) {
    let paused = if state.is_paused { " · paused" } else { "" };
    let servers = match state.servers.len() {
        1 => "1 server".to_owned(),
        n => format!("{n} servers"),
    };
    let left = format!("dao-api monitor · {servers} · every {} s{paused}", state.interval.as_secs_f64());
    let (left, keys) = (Line::styled(left, Style::new().add_modifier(Modifier::BOLD)), Line::from(KEYS));
    let has_room = left.width() + keys.width() < usize::from(area.width);
    left.render(area, buffer);
    if has_room {
        keys.right_aligned().render(area, buffer);
    }
}

fn draw_history(state: &State, area: Rect, buffer: &mut Buffer) {
    let history = state.history();
    let width = usize::from(area.width.saturating_sub(2));
    let shown = &history[history.len().saturating_sub(width)..];
    let title = match shown.iter().max() {
        Some(max) => format!("Commands per second (at most {max})"),
        None => "Commands per second".to_owned(),
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

/// The busiest routes: the load of the servers beside sockets.
fn draw_routes(state: &State, area: Rect, buffer: &mut Buffer) {
    let mut routes: BTreeMap<&str, f64> = BTreeMap::new();
    for (route, rate) in state.figures().flat_map(|figures| &figures.routes) {
        *routes.entry(route).or_default() += rate;
    }
    let mut routes: Vec<(&str, f64)> = routes.into_iter().filter(|(_, rate)| *rate > 0.0).collect();
    routes.sort_by(|a, b| b.1.total_cmp(&a.1));
    let line = |(route, rate): &(&str, f64)| Line::from(format!("{route:<42}{:>7}/s", number(*rate)));
    let lines: Vec<Line<'_>> = routes.iter().take(ROUTES_MAX).map(line).collect();
    Paragraph::new(lines).block(Block::bordered().title("Busiest routes")).render(area, buffer);
}

fn draw_notes(state: &State, area: Rect, buffer: &mut Buffer) {
    let notes = Paragraph::new(notes(state)).wrap(Wrap { trim: false });
    notes.block(Block::bordered().title("Notes")).render(area, buffer);
}

/// A description of each server, and its problems.
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
                    (false, _) => "STORE UNAVAILABLE".to_owned(),
                };
                lines.push(Line::from(format!("{name}: {version} · {store} · durability {durability}")));
                let wrong = Style::new().fg(Color::Yellow);
                lines.extend(ready.reasons.iter().map(|reason| Line::styled(format!("  {reason}"), wrong)));
                if figures.laggards > 0.0 {
                    let text =
                        format!("  {} followers are catching up from the log", number(figures.laggards));
                    lines.push(Line::from(text));
                }
            }
            Condition::Closed(why) => lines.push(Line::styled(format!("{name}: {why}"), Color::Yellow)),
            Condition::Away(why) => {
                lines.push(Line::styled(format!("{name} is unreachable: {why}; retrying"), Color::Red));
            }
        }
    }
    lines
}

/// The screen as lines of text without colours, as high as its content.
pub(super) fn as_text(state: &State, width: u16) -> String {
    let height = notes_height(state, width).saturating_add(fixed_height(state)).min(HEIGHT_MAX);
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
        state::{Look, Ready, Watched},
    };

    fn answered(applied: u32) -> Look {
        let text = format!(
            "dao_commands_total{{type=\"X\",outcome=\"applied\"}} {applied}\ndao_conflicts_total{{kind=\"same_field\"}} 0\n\
             dao_commits_total {applied}\ndao_append_duration_seconds_bucket{{le=\"0.001\"}} 0\n\
             dao_append_duration_seconds_bucket{{le=\"0.002\"}} {applied}\n\
             dao_append_duration_seconds_bucket{{le=\"+Inf\"}} {applied}\ndao_websocket_connections 12\n\
             dao_projection_lag_commits 3\ndao_projection_lag_seconds 1.5\ndao_projection_parked_graphs 1\n\
             process_resident_memory_bytes 104857600\ndao_uptime_seconds 7300\ndao_store_available 1\n\
             dao_http_requests_total{{route=\"/graphs/{{graphId}}/command\",status=\"200\"}} {applied}\n\
             dao_http_requests_total{{route=\"/readyz\",status=\"200\"}} {applied}\n\
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
            "ready     250    0       0     1.5ms  2.0ms  12      0       0      3 1.5s   1      100 MiB  2h",
            "away",
            "Commands per second (at most 250)",
            "applied              250/s",
            "commits              250/s",
            "Busiest routes",
            "/graphs/{graphId}/command                     250/s",
            "http://a:1: 1.2.3 · store data/dao.db · durability fsync",
            "broken is parked at version 7: no such event",
            "http://b:2 is unreachable: no server answers: refused; retrying",
        ] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
    }

    #[test]
    fn o6_the_screen_is_used_at_any_width() {
        for (width, height) in [(80, 24), (120, 40)] {
            let area = Rect::new(0, 0, width, height);
            let mut buffer = Buffer::empty(area);
            draw(&state(), area, &mut buffer);
            let lines: Vec<String> = (0..height)
                .map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>())
                .collect();
            let text = lines.join("\n");
            let notes = lines.iter().position(|line| line.contains("Notes")).expect("notes");
            assert!(usize::from(height) - notes <= 6, "the notes are no taller than what they say:\n{text}");
            assert!(text.contains("refused; retrying"), "{text}");
            assert_eq!(text.contains("Busiest routes"), width == 120, "{text}");
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
}
