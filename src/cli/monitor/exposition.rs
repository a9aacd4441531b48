//! Parses `GET /metrics`, leniently, since a newer server may have more metrics.

use std::collections::BTreeMap;

/// One sample.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// The samples of one answer.
#[derive(Debug, Default)]
pub(super) struct Exposition(Vec<Sample>);

impl Exposition {
    /// Reads OpenMetrics text, and skips lines that it does not understand.
    pub(super) fn read(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// Whether there is a sample of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|sample| sample.name == name)
    }

    /// The sum of all samples of this name; 0 if there are none.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.of(name).map(|sample| sample.value).sum()
    }

    /// The sums of all samples of this name, by the values of one label.
    pub(super) fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.of(name) {
            *sums.entry(label_of(sample, label).unwrap_or_default().to_owned()).or_default() += sample.value;
        }
        sums
    }

    /// The first value of this label.
    pub(super) fn label(&self, name: &str, label: &str) -> Option<&str> {
        self.0.iter().filter(|sample| sample.name == name).find_map(|sample| label_of(sample, label))
    }

    /// The buckets of a histogram: the upper bound, and the count at or below it.
    pub(super) fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let name = format!("{name}_bucket");
        let bound = |sample: &Sample| match label_of(sample, "le")? {
            "+Inf" => Some(f64::INFINITY),
            text => text.parse().ok(),
        };
        let buckets = self.of(&name).filter_map(|sample| Some((bound(sample)?, sample.value)));
        let mut buckets: Vec<_> = buckets.collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }
}

fn label_of<'a>(sample: &'a Sample, label: &str) -> Option<&'a str> {
    sample.labels.iter().find(|(key, _)| key == label).map(|(_, value)| value.as_str())
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.trim_end().rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    Some(Sample { name: name.to_owned(), labels: read_labels(labels)?, value: value.parse().ok()? })
}

fn read_labels(mut text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    while !text.is_empty() {
        let (key, rest) = text.split_once("=\"")?;
        let (mut value, mut chars) = (String::new(), rest.char_indices());
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(chars.next()?.1),
                (_, c) => value.push(c),
            }
        };
        labels.push((key.to_owned(), value));
        text = rest[end + 1..].trim_start_matches(',');
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood_is_read_and_the_rest_passed_over() {
        let text = "# HELP c x\nc_total{a=\"x\",b=\"1\"} 2\nc_total{a=\"y, \\\"z\\\"\",b=\"1\"} 3.5\nnonsense\nx{\ng 7\n\
                    h_bucket{le=\"+Inf\"} 4\nh_bucket{le=\"0.5\"} 1\n# EOF\n";
        let read = Exposition::read(text);
        assert_eq!(read.sum("c_total"), 5.5);
        assert_eq!(read.by("c_total", "a"), [("x".to_owned(), 2.0), ("y, \"z\"".to_owned(), 3.5)].into());
        assert_eq!((read.sum("g"), read.has("g"), read.has("no")), (7.0, true, false));
        assert_eq!(read.buckets("h"), [(0.5, 1.0), (f64::INFINITY, 4.0)]);
    }
}
