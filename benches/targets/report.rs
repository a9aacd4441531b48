//! Rounds to medians, medians to a table.

/// One figure for each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The one in the middle; 0 if there is none.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// How far apart they are: (most − least) / median, in per cent.
    fn spread(&self) -> f64 {
        let most = self.0.iter().copied().fold(f64::MIN, f64::max);
        let least = self.0.iter().copied().fold(f64::MAX, f64::min);
        (most - least) / self.median().max(f64::MIN_POSITIVE) * 100.0
    }
}

/// What a figure is measured in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    PerSecond,
    Milliseconds,
    Microseconds,
    Mebibytes,
    Bytes,
    Cores,
    Times,
}

impl Unit {
    fn show(self, figure: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", thousands(figure)),
            Self::Milliseconds => format!("{figure:.2} ms"),
            Self::Microseconds => format!("{figure:.1} µs"),
            Self::Mebibytes => format!("{:.1} MiB", figure / f64::from(1 << 20)),
            Self::Cores => format!("{figure:.3} cores"),
            Self::Times => format!("{figure:.2}"),
            Self::Bytes => format!("{} B", thousands(figure)),
        }
    }
}

/// What a row hopes for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// This times the reference, or more.
    RatioAtLeast(f64),
    /// This, or more.
    AtLeast(f64),
    /// This, or less.
    AtMost(f64),
    /// Nothing: it is shown for comparison.
    None,
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<[String; 7]>);

impl Report {
    /// A line: its rounds beside those of its reference, which has a name.
    pub(crate) fn add(
        &mut self,
        row: &str,
        what: &str,
        unit: Unit,
        rounds: &Rounds,
        reference: Option<(&str, &Rounds)>,
        target: Target,
    ) {
        let figure = rounds.median();
        let ratio = reference.map(|(_, rounds)| figure / rounds.median());
        let (target, is_reached) = match target {
            Target::RatioAtLeast(least) => (format!("≥ {least}"), ratio.map(|ratio| ratio >= least)),
            Target::AtLeast(least) => (format!("≥ {}", unit.show(least)), Some(figure >= least)),
            Target::AtMost(most) => (format!("≤ {}", unit.show(most)), Some(figure <= most)),
            Target::None => ("–".to_owned(), None),
        };
        let line = [
            row.to_owned(),
            what.to_owned(),
            format!("{} ±{:.0} %", unit.show(figure), rounds.spread() / 2.0),
            reference.map_or("–".into(), |(name, rounds)| format!("{name} {}", unit.show(rounds.median()))),
            ratio.map_or("–".into(), |ratio| format!("{ratio:.2}")),
            target,
            is_reached.map_or("–", |is| if is { "yes" } else { "NO" }).to_owned(),
        ];
        eprintln!("  {}", line.join(" | "));
        self.0.push(line);
    }

    /// As a Markdown table, aligned.
    pub(crate) fn print(&self) {
        let head = ["row", "what", "figure", "reference", "ratio", "target", "reached"].map(str::to_owned);
        let all = || std::iter::once(&head).chain(&self.0);
        let widths: [usize; 7] =
            std::array::from_fn(|i| all().map(|line| line[i].chars().count()).max().unwrap_or(0));
        for (index, line) in all().enumerate() {
            let cells = line.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} |"));
            println!("|{}", cells.collect::<String>());
            if index == 0 {
                println!("|{}", widths.map(|width| format!("{}|", "-".repeat(width + 2))).concat());
            }
        }
    }
}

fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
