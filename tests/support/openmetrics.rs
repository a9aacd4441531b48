//! A reader of OpenMetrics text that forgives nothing. Written from the specification (version 1.0), not from the code
//! under test.

use std::collections::{BTreeMap, BTreeSet};

/// One family.
#[derive(Debug, Default)]
pub(crate) struct MetricFamily {
    pub(crate) kind: String,
    pub(crate) help: String,
    /// Values by the sample's name and labels.
    pub(crate) samples: BTreeMap<(String, Labels), f64>,
}

pub(crate) type Labels = BTreeMap<String, String>;

/// What one text says.
#[derive(Debug)]
pub(crate) struct Exposition {
    pub(crate) families: BTreeMap<String, MetricFamily>,
}

impl Exposition {
    /// Reads a text; panics at whatever the specification does not allow.
    pub(crate) fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("the last line is # EOF");
        let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
        let mut current = String::new();
        for line in body.lines() {
            assert!(!line.is_empty() && line.trim() == line, "{line:?}");
            if let Some(descriptor) = line.strip_prefix("# ") {
                let (word, rest) = descriptor.split_once(' ').expect("a name");
                let (name, text) = rest.split_once(' ').expect("a text");
                assert_name(name);
                if name != current {
                    assert!(!families.contains_key(name), "{name} stands in two places");
                    current = name.to_owned();
                }
                let family = families.entry(current.clone()).or_default();
                assert!(family.samples.is_empty(), "{name}: descriptors come first");
                match word {
                    "HELP" => family.help = text.to_owned(),
                    "TYPE" => family.kind = text.to_owned(),
                    "UNIT" => assert!(name.ends_with(&format!("_{text}")), "{name} has no unit {text}"),
                    other => panic!("{other} in {line}"),
                }
                continue;
            }
            let (sample, labels, value) = sample(line);
            let family = families.get_mut(&current).unwrap_or_else(|| panic!("{line} has no family"));
            assert_suffix(&current, &family.kind, &sample);
            let again = family.samples.insert((sample, labels), value);
            assert!(again.is_none(), "twice: {line}");
        }
        let exposition = Self { families };
        exposition.families.iter().for_each(|(name, family)| check(name, family));
        exposition
    }

    /// The value of one sample; 0 for one that is not there yet.
    pub(crate) fn value(&self, sample: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: Labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let key = (sample.to_owned(), labels);
        self.families.values().find_map(|family| family.samples.get(&key)).copied().unwrap_or(0.0)
    }

    /// How many samples there are.
    pub(crate) fn series(&self) -> usize {
        self.families.values().map(|family| family.samples.len()).sum()
    }

    /// All names of samples.
    pub(crate) fn sample_names(&self) -> BTreeSet<String> {
        let samples = self.families.values().flat_map(|family| family.samples.keys());
        samples.map(|(name, _)| name.clone()).collect()
    }

    /// All values of labels.
    pub(crate) fn label_values(&self) -> BTreeSet<String> {
        let samples = self.families.values().flat_map(|family| family.samples.keys());
        samples.flat_map(|(_, labels)| labels.values().cloned()).collect()
    }
}

fn assert_name(name: &str) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    assert!(!name.is_empty() && name.chars().all(is_word), "{name:?}");
    assert!(!name.starts_with(|c: char| c.is_ascii_digit()), "{name:?}");
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (name_and_labels, value) = line.rsplit_once(' ').expect("a value");
    let value = match value {
        "+Inf" | "NaN" => panic!("no value of ours: {line}"),
        number => number.parse().unwrap_or_else(|_| panic!("{number:?} is no number")),
    };
    let Some((name, rest)) = name_and_labels.split_once('{') else {
        assert_name(name_and_labels);
        return (name_and_labels.to_owned(), Labels::new(), value);
    };
    assert_name(name);
    let mut rest = rest.strip_suffix('}').unwrap_or_else(|| panic!("an open bracket: {line}"));
    let mut labels = Labels::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        assert_name(key);
        let (text, after) = quoted(after);
        assert!(labels.insert(key.to_owned(), text).is_none(), "{key} twice: {line}");
        rest = after.strip_prefix(',').unwrap_or(after);
        assert!(after.is_empty() || after.len() > rest.len(), "no comma: {line}");
    }
    (name.to_owned(), labels, value)
}

/// A text up to its closing quote, and what follows.
fn quoted(text: &str) -> (String, &str) {
    let (mut out, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (out, &text[at + 1..]),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some(c @ ('"' | '\\')) => out.push(c),
                other => panic!("{other:?} is not escaped"),
            },
            '\n' => panic!("a line break in a label"),
            c => out.push(c),
        }
    }
    panic!("no closing quote: {text}");
}

fn assert_suffix(family: &str, kind: &str, sample: &str) {
    let suffix = sample.strip_prefix(family).unwrap_or_else(|| panic!("{sample} is not of {family}"));
    let allowed: &[&str] = match kind {
        "counter" => &["_total", "_created"],
        "gauge" => &[""],
        "histogram" => &["_bucket", "_sum", "_count"],
        "info" => &["_info"],
        other => panic!("{family} is of no kind: {other}"),
    };
    assert!(allowed.contains(&suffix), "{sample} of the {kind} {family}");
}

fn check(name: &str, family: &MetricFamily) {
    assert!(!family.help.is_empty() && !family.kind.is_empty(), "{name} is not described");
    if family.kind == "counter" || family.kind == "histogram" {
        assert!(family.samples.values().all(|value| *value >= 0.0), "{name} is below zero");
    }
    if family.kind != "histogram" {
        return;
    }
    let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for ((sample, labels), value) in &family.samples {
        let mut labels = labels.clone();
        let bound = labels.remove("le");
        assert_eq!(bound.is_some(), sample.ends_with("_bucket"), "{sample}");
        let Some(bound) = bound else { continue };
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().expect("a bound") };
        series.entry(labels).or_default().push((bound, *value));
    }
    for (labels, mut buckets) in series {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.windows(2).all(|two| two[0].1 <= two[1].1), "{name} is not cumulative: {buckets:?}");
        let (last, all) = buckets.last().expect("buckets");
        assert!(last.is_infinite(), "{name} has no +Inf");
        let count = family.samples.get(&(format!("{name}_count"), labels.clone()));
        assert_eq!(count, Some(all), "{name} {labels:?}");
        assert!(family.samples.contains_key(&(format!("{name}_sum"), labels)), "{name} has no sum");
    }
}

#[test]
#[should_panic(expected = "not cumulative")]
fn a_histogram_that_shrinks_is_none() {
    Exposition::read(
        "# HELP h x\n# TYPE h histogram\nh_sum 1\nh_count 1\nh_bucket{le=\"1.0\"} 2\nh_bucket{le=\"+Inf\"} 1\n# EOF\n",
    );
}

#[test]
#[should_panic(expected = "twice")]
fn one_sample_stands_once() {
    Exposition::read("# HELP g x\n# TYPE g gauge\ng{a=\"b\"} 1\ng{a=\"b\"} 2\n# EOF\n");
}
