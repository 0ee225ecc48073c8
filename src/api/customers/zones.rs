//! Time zones of customers: names that the database knows, in its spelling.
//!
//! The rows of an import name few of them, millions of times, and each look at the database costs as much as
//! all other checks of a row.

use hashbrown::HashMap;
use jiff::tz::TimeZone;
use notty_storage::model::ZoneName;

use crate::api::{Code, error::InvalidValue};

/// The most spellings that are remembered; the database knows about 600 names.
const REMEMBERED: usize = 1_000;

/// Time zones that were found, by the spelling in which they were asked for.
#[derive(Default)]
pub(in crate::api) struct FoundZones(HashMap<String, String>);

impl FoundZones {
    /// The zone in the spelling of the database; an error if it does not know it.
    pub(in crate::api) fn find(&mut self, text: &str) -> Result<String, InvalidValue> {
        if let Some(known) = self.0.get(text) {
            return Ok(known.clone());
        }

        let found = look_up(text)?;
        // Letters are taken in both cases, so there are more spellings than zones.
        if self.0.len() < REMEMBERED {
            self.0.insert(text.to_owned(), found.clone());
        }
        Ok(found)
    }
}

fn look_up(text: &str) -> Result<String, InvalidValue> {
    let name = ZoneName::parse(text)?;
    match TimeZone::get(name.as_str()) {
        Ok(zone) => Ok(zone.iana_name().unwrap_or(name.as_str()).to_owned()),
        Err(_) => {
            let detail = "no such time zone; an IANA name is needed, like Europe/Moscow";
            Err(InvalidValue::new(Code::InvalidTimezone, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_the_spelling_of_the_database_also_when_it_is_remembered() {
        let mut zones = FoundZones::default();
        for _ in 0..2 {
            let found = zones.find("europe/MOSCOW").ok();
            assert_eq!(found.as_deref(), Some("Europe/Moscow"));
            assert!(zones.find("Europe/Nowhere").is_err());
        }
        assert_eq!(zones.0.len(), 1);
    }

    #[test]
    fn very_many_spellings_take_no_more_memory_than_some() {
        let mut zones = FoundZones::default();
        for bits in 0..1_u32 << 11 {
            let letters = "asia/kamchatka".chars().enumerate();
            let spelled = letters.map(|(place, letter)| match bits >> place & 1 {
                0 => letter,
                _ => letter.to_ascii_uppercase(),
            });
            let found = zones.find(&spelled.collect::<String>()).ok();
            assert_eq!(found.as_deref(), Some("Asia/Kamchatka"));
        }
        assert!(zones.0.len() <= REMEMBERED);
    }
}
