//! Checks that `.env.example` has every setting once, with its default: it is the page that operators read (rule O4).

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, CommandFactory, Parser};

use super::Settings;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

const EXAMPLE: &str = include_str!("../../.env.example");

/// The settings of the file in order, with their values; commented-out ones count too.
fn written() -> Vec<(&'static str, &'static str)> {
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b"_0123456789".contains(&b))
    };
    let lines = EXAMPLE.lines().map(|line| line.strip_prefix('#').unwrap_or(line));
    lines.filter_map(|line| line.split_once('=')).filter(|(name, _)| is_name(name)).collect()
}

fn variable(arg: &Arg) -> Option<String> {
    Some(arg.get_env()?.to_string_lossy().into_owned())
}

#[test]
fn o4_the_example_has_every_setting_once() {
    let written = written();
    let mut seen = BTreeSet::new();
    let twice: Vec<_> = written.iter().filter(|(name, _)| !seen.insert(*name)).collect();
    assert!(twice.is_empty(), "in .env.example more than once: {twice:?}");
    let line = Line::command();
    let settings: BTreeSet<String> = line.get_arguments().filter_map(variable).collect();
    assert!(settings.len() > 40, "{settings:?}");
    let seen: BTreeSet<String> = seen.into_iter().map(str::to_owned).collect();
    assert_eq!(seen, settings, "what .env.example has, and what there is");
}

#[test]
fn o4_the_example_shows_the_defaults() {
    let written: BTreeMap<&str, &str> = written().into_iter().collect();
    for arg in Line::command().get_arguments() {
        let Some(name) = variable(arg) else { continue };
        let Some([default]) = arg.get_default_values().get(..1) else { continue };
        assert_eq!(written.get(name.as_str()).copied(), default.to_str(), "{name}");
    }
}
