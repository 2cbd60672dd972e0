//! Families of values, and how they are written for Prometheus: its text format, version 0.0.4.
//!
//! That one, and not OpenMetrics, because node_exporter reads no other from a file. It is twenty lines to write, so no
//! library is asked. Pure.

use std::fmt::Write as _;

/// The media type of what [`text`] gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What sort of values a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Goes up and down.
    Gauge,
    /// Only goes up, from 0 when the process starts. Its name ends in `_total`.
    Counter,
    /// How many observations were at most so large, for several sizes.
    Histogram,
}

/// All values of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// What people look for: `npvr_`, what it is, and its unit.
    pub name: &'static str,
    /// What it means, in a line.
    pub help: &'static str,
    /// What sort of values these are.
    pub sort: Sort,
    /// The values. A family without any is not written.
    pub samples: Vec<Sample>,
}

/// One value, and what it is the value of.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What follows the family's name: `_bucket`, `_sum` or `_count` in a histogram, else nothing.
    pub suffix: &'static str,
    /// Names are fixed words; values may be any text.
    pub labels: Vec<(&'static str, String)>,
    /// The value, in the unit that the family's name says.
    pub value: f64,
}

impl Family {
    /// A gauge without values yet.
    pub fn gauge(name: &'static str, help: &'static str) -> Family {
        Family { name, help, sort: Sort::Gauge, samples: Vec::new() }
    }

    /// A counter without values yet.
    pub fn counter(name: &'static str, help: &'static str) -> Family {
        Family { name, help, sort: Sort::Counter, samples: Vec::new() }
    }

    /// Adds a value.
    pub fn add<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: f64) {
        let labels = labels.map(|(name, text)| (name, text.to_owned())).into();
        self.samples.push(Sample { suffix: "", labels, value });
    }

    /// The family with one more value.
    #[must_use]
    pub fn with<const N: usize>(mut self, labels: [(&'static str, &str); N], value: f64) -> Family {
        self.add(labels, value);
        self
    }
}

/// The families as Prometheus reads them.
pub fn text(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let Family { name, help, sort, samples } = family;
        let sort = match sort {
            Sort::Gauge => "gauge",
            Sort::Counter => "counter",
            Sort::Histogram => "histogram",
        };
        // Writing to a string does not fail; here and below.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {sort}");
        for sample in samples {
            let _ = write!(text, "{name}{}", sample.suffix);
            for (n, (label, value)) in sample.labels.iter().enumerate() {
                let _ = write!(text, "{}{label}=\"{}\"", if n == 0 { '{' } else { ',' }, escaped(value));
            }
            text.push_str(if sample.labels.is_empty() { " " } else { "} " });
            let _ = writeln!(text, "{}", number(sample.value));
        }
    }
    text
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn families_are_written_with_what_they_mean_and_empty_ones_are_left_out() {
        let mut chunks = Family::gauge("npvr_chunks", "Cells by state");
        chunks.add([("channel", "news"), ("state", "lost")], 2.0);
        chunks.add([("channel", "a\"\\\nb"), ("state", "lost")], 0.25);
        let families =
            [chunks, Family::gauge("npvr_none", "None"), Family::counter("npvr_x_total", "X").with([], 1e18)];
        let expected = "# HELP npvr_chunks Cells by state\n# TYPE npvr_chunks gauge\n\
                        npvr_chunks{channel=\"news\",state=\"lost\"} 2\n\
                        npvr_chunks{channel=\"a\\\"\\\\\\nb\",state=\"lost\"} 0.25\n\
                        # HELP npvr_x_total X\n# TYPE npvr_x_total counter\nnpvr_x_total 1000000000000000000\n";
        assert_eq!(text(&families), expected);
        assert_eq!([f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(number), ["+Inf", "-Inf", "NaN"]);
    }

    /// A line of labels and a value as the format's description reads it, written anew.
    fn read(line: &str) -> Option<(Vec<String>, f64)> {
        let mut rest = line.strip_prefix("npvr_a")?;
        let mut values = Vec::new();
        while let Some(at) = rest.find("=\"").filter(|_| rest.starts_with(['{', ','])) {
            let mut value = String::new();
            let mut chars = rest[at + 2..].char_indices();
            let end = loop {
                match chars.next()? {
                    (n, '"') => break at + 2 + n + 1,
                    (_, '\\') => value.push(match chars.next()?.1 {
                        'n' => '\n',
                        c @ ('"' | '\\') => c,
                        _ => return None,
                    }),
                    (_, c) => value.push(c),
                }
            };
            values.push(value);
            rest = &rest[end..];
        }
        Some((values, rest.trim_start_matches('}').trim().parse().ok()?))
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_one_line_and_reads_back(a in "(?s).{0,20}", b in "[\"\\\\\n,={} a]{0,12}", value: f64) {
            let family = Family::gauge("npvr_a", "A").with([("one", a.as_str()), ("two", b.as_str())], value);
            let text = text(&[family]);
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert_eq!(lines.len(), 4, "{}", text);
            let (labels, read) = read(lines[2]).unwrap();
            prop_assert_eq!(labels, [a, b]);
            prop_assert!(read == value || value.is_nan());
        }
    }
}
