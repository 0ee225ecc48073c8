//! What is shown of a simulation: figures, or what went wrong and how to see it again.

use std::{collections::BTreeMap, fmt::Write};

use crate::{plan::Plan, stage::Violation, trace::Trace};

/// Lines of the trace that are shown of a violation, at most.
const HISTORY: usize = 60;

/// What came of a seed.
pub struct Report {
    /// What was drawn.
    pub plan: Plan,
    /// What happened.
    pub trace: Trace,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// What must not have.
    pub violation: Option<Violation>,
}

impl Report {
    /// Whether the seed shows anything: it had a change of leaders, a lost reply and many sends.
    pub fn counts_as_evidence(&self) -> bool {
        let count = |kind| self.counts.get(kind).copied().unwrap_or_default();
        count("leader change") > 0
            && count("lost reply") + count("lost reply to a client") > 0
            && count("request to the gateway") >= 200
    }

    /// One line of figures for the sweep.
    pub fn figures(&self) -> String {
        let parts: Vec<_> = self
            .counts
            .iter()
            .map(|(kind, n)| format!("{kind}={n}"))
            .collect();
        parts.join(";")
    }

    /// What a person needs to see it again, by the arguments that it was run with.
    pub fn failure(&self, how: &str) -> Option<String> {
        let violation = self.violation.as_ref()?;
        let mut text = String::new();
        let seed = self.plan.seed;
        let _ = writeln!(text, "seed {seed}: {} is violated", violation.property);
        let _ = writeln!(text, "  {}", violation.what);
        let _ = writeln!(
            text,
            "  at {:.3} s, commit {}",
            violation.at.as_secs_f64(),
            commit()
        );
        let _ = writeln!(text, "\nhistory, as far as it concerns this:");
        for line in self.history(violation) {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "\nto repeat it:");
        let _ = writeln!(
            text,
            "  git checkout {} && cargo run --release -p notty-simulation -- {how}",
            commit()
        );
        Some(text)
    }

    /// Lines that name what the violation names, and the last ones before it.
    fn history(&self, violation: &Violation) -> Vec<&str> {
        let words: Vec<_> = violation
            .what
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| word.len() >= 5 && word.bytes().any(|b| b.is_ascii_digit()))
            .collect();
        let lines: Vec<_> = self
            .trace
            .lines()
            .iter()
            .skip(1)
            .flat_map(|line| line.lines())
            .collect();
        let last = lines.len().saturating_sub(HISTORY / 2);
        let about = lines[..last]
            .iter()
            .filter(|line| words.iter().any(|word| line.contains(word)));
        let about: Vec<_> = about.copied().collect();
        let from = about.len().saturating_sub(HISTORY / 2);
        about[from..]
            .iter()
            .copied()
            .chain(lines[last..].iter().copied())
            .collect()
    }
}

/// The commit that this was built from, as far as git knows.
pub fn commit() -> String {
    let mut git = std::process::Command::new("git");
    git.args(["rev-parse", "--short", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let known = git.output().ok().filter(|output| output.status.success());
    let name = known.and_then(|output| String::from_utf8(output.stdout).ok());
    name.map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned())
}
