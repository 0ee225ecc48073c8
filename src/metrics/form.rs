//! The text forms of metrics: OpenMetrics 1.0, and the older form 0.0.4 that every scraper reads.
//!
//! The library writes OpenMetrics. The older form has no units, no end mark and no type `info`, and it
//! declares a counter under the name of its samples, with `_total`.

use std::fmt::Write;

/// A text form of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsForm {
    /// The text format 0.0.4 of Prometheus, the default.
    Plain,
    /// OpenMetrics, for scrapers that ask for it.
    OpenMetrics,
}

impl MetricsForm {
    /// The form that an `Accept` header prefers; an absent one prefers none.
    pub fn accepted(accept: Option<&str>) -> Self {
        let ranges = || accept.unwrap_or_default().split(',').map(MediaRange::parse);
        let best = |wanted: fn(&MediaRange) -> bool| {
            let weights = ranges().filter(wanted).map(|range| range.weight);
            weights.max().unwrap_or(0)
        };

        let open = best(|range| range.kind == "application/openmetrics-text" && range.is_version_1);
        let plain = best(|range| ["text/plain", "text/*", "*/*"].contains(&range.kind.as_str()));
        if open > 0 && open >= plain {
            Self::OpenMetrics
        } else {
            Self::Plain
        }
    }

    /// The content type of an answer in this form.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Metrics in this form, from OpenMetrics without its end mark.
    pub(super) fn finish(self, mut text: String) -> String {
        match self {
            Self::Plain => plain(&text),
            Self::OpenMetrics => {
                text.push_str("# EOF\n");
                text
            }
        }
    }
}

/// One part of an `Accept` header.
struct MediaRange {
    kind: String,
    /// False if it asks for another version of its form.
    is_version_1: bool,
    /// Preference among several, in thousandths.
    weight: u32,
}

impl MediaRange {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut range = Self {
            kind,
            is_version_1: true,
            weight: 1_000,
        };

        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "version" => range.is_version_1 = value.trim().trim_matches('"') == "1.0.0",
                // A weight that cannot be read counts as none: the range is not wanted.
                "q" => range.weight = (value.trim().parse().unwrap_or(0.0) * 1_000.0_f64) as u32,
                _ => {}
            }
        }
        range
    }
}

/// The text format 0.0.4 of the same metrics.
fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    // The help of a metric comes before its type, and its name depends on that.
    let mut help = "";

    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            declare(&mut text, help, rest);
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Writes the declaration of one metric.
fn declare(text: &mut String, help: &str, name_and_kind: &str) {
    let (name, kind) = name_and_kind.split_once(' ').unwrap_or((name_and_kind, ""));
    let described = help.split_once(' ').map_or("", |(_, described)| described);
    let (suffix, kind) = match kind {
        "counter" => ("_total", "counter"),
        "info" => ("_info", "gauge"),
        "unknown" => ("", "untyped"),
        other => ("", other),
    };

    let declared = write!(
        text,
        "# HELP {name}{suffix} {described}\n# TYPE {name}{suffix} {kind}\n"
    );
    declared.expect("writing to memory cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_the_form_that_it_prefers() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, form) in [
            (None, MetricsForm::Plain),
            (Some(""), MetricsForm::Plain),
            (Some("*/*"), MetricsForm::Plain),
            (Some(prometheus), MetricsForm::OpenMetrics),
            (
                Some("application/openmetrics-text"),
                MetricsForm::OpenMetrics,
            ),
            (
                Some("application/openmetrics-text; version=2.0.0"),
                MetricsForm::Plain,
            ),
            (
                Some("application/openmetrics-text; q=0"),
                MetricsForm::Plain,
            ),
            (
                Some("application/openmetrics-text;q=0.2, text/plain"),
                MetricsForm::Plain,
            ),
            (
                Some("text/html, application/openmetrics-text;q=0.9, */*;q=0.8"),
                MetricsForm::OpenMetrics,
            ),
        ] {
            assert_eq!(MetricsForm::accepted(accept), form, "{accept:?}");
        }
    }

    #[test]
    fn the_older_form_declares_each_metric_under_the_name_of_its_samples() {
        let open = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
                    a_seconds_total 1.5\n# HELP build Version.\n# TYPE build info\n\
                    build_info{version=\"1\"} 1\n# HELP g Gauge \\\\ it.\n# TYPE g gauge\ng 3\n";
        let wanted = "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\n\
                      a_seconds_total 1.5\n# HELP build_info Version.\n# TYPE build_info gauge\n\
                      build_info{version=\"1\"} 1\n# HELP g Gauge \\\\ it.\n# TYPE g gauge\ng 3\n";
        assert_eq!(MetricsForm::Plain.finish(open.to_owned()), wanted);
        let ended = MetricsForm::OpenMetrics.finish(open.to_owned());
        assert!(ended.ends_with("g 3\n# EOF\n"), "{ended}");
    }
}
