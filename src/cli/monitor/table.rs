//! The table of servers. It shows as many columns as fit without cutting a value; the least important are dropped
//! first.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Rect},
    style::{Color, Modifier, Style},
    text::Span,
    widgets::{Block, Cell, Row, Table, Widget},
};

use super::{
    figures::Figures,
    format::{age, bytes, number, seconds},
    state::{Condition, State, Watched},
};

/// A column of figures.
struct Column {
    name: &'static str,
    /// Wide enough for usual values, so that columns stay in place while figures change.
    width_min: u16,
    /// The rank if there is no room for all; the lowest stay.
    rank: u8,
    text: fn(&Figures) -> String,
}

const COLUMNS: [Column; 12] = [
    Column { name: "cmd/s", width_min: 6, rank: 0, text: |f| number(f.commands_per_s()) },
    Column { name: "confl/s", width_min: 7, rank: 7, text: |f| number(f.conflicts) },
    Column { name: "5xx/s", width_min: 5, rank: 5, text: |f| number(f.failures) },
    Column { name: "p50", width_min: 6, rank: 8, text: |f| f.append_p50_s.map_or_else(none, seconds) },
    Column { name: "p99", width_min: 6, rank: 1, text: |f| f.append_p99_s.map_or_else(none, seconds) },
    Column { name: "sockets", width_min: 7, rank: 4, text: |f| number(f.sockets) },
    Column { name: "streams", width_min: 7, rank: 10, text: |f| number(f.streams) },
    Column { name: "graphs", width_min: 6, rank: 9, text: |f| number(f.hot_graphs) },
    Column { name: "lag", width_min: 8, rank: 2, text: lag },
    Column { name: "parked", width_min: 6, rank: 11, text: |f| f.parked_graphs.map_or_else(unknown, number) },
    Column { name: "memory", width_min: 8, rank: 3, text: |f| f.memory_bytes.map_or_else(unknown, bytes) },
    Column { name: "up", width_min: 3, rank: 6, text: |f| age(f.uptime_s) },
];

/// The width of a state: the longest is `not ready`.
const STATE_WIDTH: u16 = 9;
/// The gap between two columns.
const SPACE: u16 = 1;
/// Names of servers are shortened to this width if there is no room for them.
const NAME_WIDTH_MIN: u16 = 8;

fn none() -> String {
    "-".to_owned()
}

fn unknown() -> String {
    "?".to_owned()
}

fn lag(figures: &Figures) -> String {
    let lag = figures.lag_commits.zip(figures.lag_s).map(|(commits, s)| match commits > 0.0 {
        true => format!("{} {}", number(commits), seconds(s)),
        false => "0".to_owned(),
    });
    lag.unwrap_or_else(unknown)
}

fn width_of(text: &str) -> u16 {
    u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX)
}

/// The columns that fit into this width, with their widths, and the width of the names of servers.
fn fitting(state: &State, width: u16) -> (u16, Vec<(&'static Column, u16)>) {
    let name_width = state.servers.iter().map(|server| width_of(&server.name)).max().unwrap_or(0);
    let name_width = name_width.max(width_of("server"));
    let mut left = width.saturating_sub(name_width + SPACE + STATE_WIDTH);
    let mut by_rank: Vec<&Column> = COLUMNS.iter().collect();
    by_rank.sort_by_key(|column| column.rank);
    let mut chosen = Vec::new();
    for column in by_rank {
        let values = state.figures().map(|figures| width_of(&(column.text)(figures)));
        let wide = values.max().unwrap_or(0).max(column.width_min);
        // A less important column does not take the place of one that did not fit.
        let Some(rest) = left.checked_sub(SPACE + wide) else { break };
        left = rest;
        chosen.push((column, wide));
    }
    let place = |name: &str| COLUMNS.iter().position(|column| column.name == name);
    chosen.sort_by_key(|(column, _)| place(column.name));
    let room = width.saturating_sub(SPACE + STATE_WIDTH).max(NAME_WIDTH_MIN);
    (name_width.min(room), chosen)
}

/// Draws the table.
pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let (name_width, columns) = fitting(state, area.width.saturating_sub(2));
    let names = ["server", "state"].into_iter().chain(columns.iter().map(|(column, _)| column.name));
    let header = Row::new(names.map(Cell::from)).style(Style::new().add_modifier(Modifier::DIM));
    let widths = [Constraint::Min(name_width), Constraint::Length(STATE_WIDTH)].into_iter();
    let widths = widths.chain(columns.iter().map(|(_, width)| Constraint::Length(*width)));
    let rows = state.servers.iter().map(|server| row(server, name_width, &columns));
    let table = Table::new(rows, widths).header(header).column_spacing(SPACE);
    Widget::render(table.block(Block::bordered().title("Servers")), area, buffer);
}

fn row(server: &Watched, name_width: u16, columns: &[(&Column, u16)]) -> Row<'static> {
    let (word, colour) = match &server.condition {
        Condition::Unknown => ("…", Color::Reset),
        Condition::Up { ready, .. } if ready.is_ready => ("ready", Color::Green),
        Condition::Up { .. } => ("not ready", Color::Yellow),
        Condition::Closed(_) => ("closed", Color::Yellow),
        Condition::Away(_) => ("away", Color::Red),
    };
    let mut cells =
        vec![Cell::from(shortened(&server.name, name_width)), Cell::from(Span::styled(word, colour))];
    if let Condition::Up { figures, .. } = &server.condition {
        cells.extend(columns.iter().map(|(column, _)| Cell::from((column.text)(figures))));
    }
    Row::new(cells)
}

/// Shortens a text, with a mark at the cut.
fn shortened(name: &str, width: u16) -> String {
    if width_of(name) <= width {
        return name.to_owned();
    }
    let kept = usize::from(width.saturating_sub(1));
    name.chars().take(kept).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::cli::monitor::{
        exposition::Exposition,
        screen::as_text,
        state::{Look, Ready},
    };

    fn busy() -> State {
        let text = |n: u64| {
            format!(
                "dao_commands_total{{outcome=\"applied\"}} {}\ndao_conflicts_total{{kind=\"same_field\"}} {n}\n\
                 dao_append_duration_seconds_bucket{{le=\"0.0994\"}} {n}\n\
                 dao_append_duration_seconds_bucket{{le=\"+Inf\"}} {n}\ndao_websocket_connections 19999\n\
                 dao_streams 4000\ndao_hot_graphs 10000\ndao_projection_lag_commits 123456\n\
                 dao_projection_lag_seconds 86.4\ndao_projection_parked_graphs 10000\n\
                 process_resident_memory_bytes 1100000000\ndao_uptime_seconds 400000\ndao_store_available 1\n",
                n * 100
            )
        };
        let look = |n| Look::Answered { metrics: Exposition::read(&text(n)), ready: Ready::read(503, "{}") };
        let mut server = Watched::new("http://127.0.0.1:3000".to_owned());
        let now = Instant::now();
        server.take(look(0), now);
        server.take(look(9_000), now + Duration::from_secs(1));
        State { servers: vec![server], interval: Duration::from_secs(1), is_paused: false }
    }

    /// The words of the line that begins with this one, without the frame around them.
    fn words_after(text: &str, first: &str) -> Vec<String> {
        let line = text.lines().find(|line| line.contains(first)).unwrap_or_default();
        line.replace('│', " ").split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn o6_no_width_cuts_a_value() {
        let state = busy();
        let figures = state.figures().next().expect("it answers").clone();
        let mut counts = vec![];
        for width in 36..=200 {
            let text = as_text(&state, width);
            let names = words_after(&text, "│server");
            let shown: Vec<&Column> =
                names.iter().filter_map(|name| COLUMNS.iter().find(|column| column.name == name)).collect();
            let mut expected = vec!["http://127.0.0.1:3000".to_owned(), "not".to_owned(), "ready".to_owned()];
            for column in &shown {
                expected.extend((column.text)(&figures).split_whitespace().map(str::to_owned));
            }
            assert_eq!(words_after(&text, "│http"), expected, "{width}:\n{text}");
            counts.push((width, shown.len()));
        }
        let at = |width: u16| counts.iter().find(|(w, _)| *w == width).map(|(_, n)| *n);
        assert!(at(80) >= Some(4) && at(120) >= Some(9) && at(200) == Some(COLUMNS.len()), "{counts:?}");
        assert!(
            counts.windows(2).all(|two| two[0].1 <= two[1].1),
            "a wider screen shows no less: {counts:?}"
        );
    }

    #[test]
    fn o6_a_name_that_is_too_long_says_so() {
        let mut state = busy();
        state.servers[0].name = format!("http://{}:3000", "long".repeat(30));
        let text = as_text(&state, 60);
        assert!(text.contains('…') && text.contains("not ready"), "{text}");
    }
}
