//! The figures of a benchmark, printed as a small table or as one JSON record.

use serde_json::{Map, Value, json};

use super::super::out;

/// The figures of one benchmark.
#[derive(Clone, Debug)]
pub(super) struct Record {
    bench: &'static str,
    settings: Vec<(&'static str, Value)>,
    figures: Vec<(String, f64)>,
}

impl Record {
    /// Of a benchmark with its settings; nothing is found yet.
    pub(super) fn new(bench: &'static str, settings: Vec<(&'static str, Value)>) -> Self {
        Self {
            bench,
            settings,
            figures: Vec::new(),
        }
    }

    /// Adds a figure; its name ends with its unit.
    pub(super) fn add(&mut self, name: impl Into<String>, figure: f64) {
        self.figures.push((name.into(), figure));
    }

    /// Adds the middle and the 99th percentile of times in milliseconds.
    pub(super) fn add_times(&mut self, name: &str, took_ms: &mut [f64]) {
        self.add(format!("{name}_p50_ms"), percentile(took_ms, 50));
        self.add(format!("{name}_p99_ms"), percentile(took_ms, 99));
    }

    /// Adds all figures of another.
    pub(super) fn merge(&mut self, other: Self) {
        self.figures.extend(other.figures);
    }

    /// Adds all figures of another, each under a name that begins so.
    pub(super) fn join(&mut self, begins: &str, other: Self) {
        let renamed = other
            .figures
            .into_iter()
            .map(|(name, it)| (format!("{begins}_{name}"), it));
        self.figures.extend(renamed);
    }

    /// A figure by its name.
    pub(super) fn figure(&self, name: &str) -> Option<f64> {
        let found = self.figures.iter().find(|(other, _)| other == name);
        found.map(|(_, figure)| *figure)
    }

    /// The median of each figure over several rounds.
    pub(super) fn median(rounds: &[Self]) -> Self {
        let mut median = rounds[0].clone();
        for (name, figure) in &mut median.figures {
            let mut all: Vec<_> = rounds
                .iter()
                .filter_map(|round| round.figure(name))
                .collect();
            *figure = percentile(&mut all, 50);
        }
        median
    }

    /// Prints it, as a table or as one line of JSON.
    pub(super) fn print(&self, as_json: bool) {
        if as_json {
            out::line(&Value::Object(self.to_json()).to_string());
            return;
        }
        for (name, figure) in &self.figures {
            out::line(&format!("{name:<34} {:>14}", number(*figure)));
        }
    }

    fn to_json(&self) -> Map<String, Value> {
        let mut record = Map::new();
        record.insert("bench".to_owned(), json!(self.bench));
        let settings = self.settings.iter();
        record.extend(settings.map(|(name, value)| ((*name).to_owned(), value.clone())));
        let figures = self
            .figures
            .iter()
            .map(|(name, figure)| (name.clone(), json!(figure)));
        record.extend(figures);
        record
    }
}

/// A figure as people read it: the more it is, the fewer places.
pub(super) fn number(figure: f64) -> String {
    match figure.abs() {
        size if size >= 1_000.0 => out::number(figure.round() as u64),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// A percentile of some figures; 0 if there are none.
pub(super) fn percentile(figures: &mut [f64], percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let at = figures.len().saturating_sub(1) * percent / 100;
    figures.get(at).copied().unwrap_or(0.0)
}
