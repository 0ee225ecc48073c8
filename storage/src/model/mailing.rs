//! A mailing: what is said to whom, and when.

use serde::{Deserialize, Serialize};

use super::{Filter, MailingId, MailingNumber, SendWindow, Timestamp};

/// What the owner of a mailing decides. Built by the service from parsed parts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailingSpec {
    /// A note for people.
    pub desc: String,
    /// What each customer gets.
    pub text: String,
    /// When sending may begin.
    pub start: Timestamp,
    /// When sending stops for good.
    pub end: Timestamp,
    /// Which tags.
    pub tag_filter: Filter,
    /// Which operators.
    pub operator_filter: Filter,
    /// Which phones, matched against `+` and the digits.
    pub phone_filter: Filter,
    /// The part of the customer's day in which it may send; absent: all of it.
    pub send_window: Option<SendWindow>,
    /// Until when somebody must match to get it.
    pub audience: AudienceSpan,
    /// True if a phone gets one message of it at most, however many customers have the phone.
    pub unique_phones: bool,
}

/// Until when customers must match a mailing to get it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AudienceSpan {
    /// Customers who come to match while it is active get it too.
    #[default]
    UntilEnd,
    /// Those who match when it starts, and nobody else.
    AtStart,
}

impl AudienceSpan {
    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            AudienceSpan::UntilEnd => "until_end",
            AudienceSpan::AtStart => "at_start",
        }
    }

    /// From its name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [AudienceSpan::UntilEnd, AudienceSpan::AtStart];
        all.into_iter().find(|span| span.name() == name)
    }
}

/// Without the text: a text never reaches a log.
impl std::fmt::Debug for MailingSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailingSpec")
            .field("start", &self.start)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// How a mailing stands, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MailingStatus {
    /// Its start has not come.
    Scheduled,
    /// It sends.
    Active,
    /// It was told to wait.
    Paused,
    /// Its end has passed and every message is final.
    Finished,
    /// It was told to stop for good.
    Cancelled,
}

impl MailingStatus {
    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            MailingStatus::Scheduled => "scheduled",
            MailingStatus::Active => "active",
            MailingStatus::Paused => "paused",
            MailingStatus::Finished => "finished",
            MailingStatus::Cancelled => "cancelled",
        }
    }

    /// From its name.
    pub fn from_name(name: &str) -> Option<Self> {
        use MailingStatus::{Active, Cancelled, Finished, Paused, Scheduled};
        let all = [Scheduled, Active, Paused, Finished, Cancelled];
        all.into_iter().find(|status| status.name() == name)
    }
}

/// A mailing as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailing {
    /// Its number.
    pub number: MailingNumber,
    /// Its id.
    pub id: MailingId,
    /// What its owner decided.
    pub spec: MailingSpec,
    /// How it stands.
    pub status: MailingStatus,
    /// Whether every customer that matches now has a final message.
    pub caught_up: bool,
    /// When it was created.
    pub created_at: Timestamp,
}
