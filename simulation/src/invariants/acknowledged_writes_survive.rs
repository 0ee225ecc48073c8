//! What was acknowledged is there, for whoever asks the leader: until the same client writes it
//! anew. A write that nobody knows the outcome of may be there at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::{Event, Outcome, Told};

type Value = Option<String>;

#[derive(Default)]
struct Register {
    acknowledged: Value,
    unknown: BTreeSet<Value>,
}

/// See above.
#[derive(Default)]
pub(super) struct AcknowledgedWritesSurvive {
    registers: BTreeMap<String, Register>,
}

impl Invariant for AcknowledgedWritesSurvive {
    fn name(&self) -> &'static str {
        "acknowledged_writes_survive"
    }

    fn judge(&mut self, event: &Event<'_>, _facts: &Facts, _now: Duration) -> Judgement {
        match event {
            Event::Told(Told::Write {
                key,
                value,
                outcome,
            }) => {
                let register = self.registers.entry((*key).to_owned()).or_default();
                let value = value.map(str::to_owned);
                match outcome {
                    Outcome::Done => register.acknowledged = value,
                    Outcome::Unknown => drop(register.unknown.insert(value)),
                    Outcome::Refused => {}
                }
                Ok(())
            }
            Event::Told(Told::Read { key, value }) => self.read(key, *value),
            Event::Told(Told::Repeated { what, same }) => ensure(*same, || {
                format!("a repeat of POST {what} under the same key got another answer")
            }),
            _ => Ok(()),
        }
    }
}

impl AcknowledgedWritesSurvive {
    fn read(&self, key: &str, value: Option<&str>) -> Judgement {
        let none = Register::default();
        let register = self.registers.get(key).unwrap_or(&none);
        // What a mailing is otherwise goes on by itself.
        let kept = |value: &str| value == "cancelled" || !key.starts_with("mailing/");
        let read = value.map(|value| if kept(value) { value } else { "kept" }.to_owned());
        let may_be = read == register.acknowledged || register.unknown.contains(&read);
        ensure(may_be, || {
            let (acknowledged, unknown) = (&register.acknowledged, &register.unknown);
            format!("{key} holds {read:?}, not {acknowledged:?}; unknown: {unknown:?}")
        })
    }
}
