//! A gateway that is described by a profile: the connections of this module, with the profile's requests
//! and the profile's meaning of each answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, response::Parts};
use http_body_util::Full;
use notty_raft::Clock;
use notty_storage::Timestamp;

use super::{
    super::{
        Envelope, GatewayOutcome, LaterScope,
        profile::{
            AnswerJudgement, AnswerMeaning, BoundRequest, GatewayAccount, MessageRequest, Profile,
            WholeAnswer,
        },
    },
    Connector, HttpGateway, HttpTimes,
    address::GatewayUrl,
    secret_forms,
    speech::{AnswerVerdict, Speech},
};
use crate::config::{ConfigError, Secret};

/// The meaning of an answer that no rule fits.
const NO_RULE: &str = "no rule of the profile fits this answer";
/// The pause of a whole gateway whose answer has none.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// A gateway at a provider.
pub type ProviderGateway = HttpGateway<ProfileSpeech>;

/// The settings of a gateway at a provider.
pub struct ProviderOptions {
    /// Name of the profile, which is a part of the gateway's identity.
    pub profile_name: String,
    /// The language of the provider.
    pub profile: Profile,
    /// The account at the provider.
    pub account: GatewayAccount,
    /// Time limits of its requests.
    pub times: HttpTimes,
}

impl ProviderGateway {
    /// Binds the profile to the account. An error names each key of the account with a fault.
    pub fn of_profile(
        options: ProviderOptions,
        connector: Arc<dyn Connector>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        let at_url = format!("{}.url", options.account.section);
        let times = options.times;
        let speech = ProfileSpeech::new(options, clock.clone())?;

        let url = GatewayUrl::parse(speech.requests.base());
        url.and_then(|url| Self::speaking(speech, url, times, connector, clock))
            .map_err(|fault| ConfigError::at(&at_url, fault))
    }
}

/// The language of a profile, spoken with one account.
pub struct ProfileSpeech {
    profile: Profile,
    requests: BoundRequest,
    /// The requests that ask for receipts; `None` if the profile has no place for their URL.
    asking: Option<BoundRequest>,
    /// The texts of [`Speech::account`].
    account: Vec<String>,
    /// The secrets in all their forms.
    secrets: Vec<String>,
    /// Tells how long a message is still of use.
    clock: Arc<dyn Clock>,
}

impl ProfileSpeech {
    fn new(options: ProviderOptions, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let ProviderOptions {
            profile_name,
            profile,
            account,
            ..
        } = options;
        let requests = profile.bind(&account)?;
        let asking = bind_asking(&profile, &account)?;
        // Pages of errors repeat the headers of a request too.
        let values = account.secrets.values().map(Secret::expose);
        let secrets = secret_forms::forms(values.chain(requests.login()));

        Ok(Self {
            requests,
            asking,
            secrets,
            account: account_texts(profile_name, &account),
            profile,
            clock,
        })
    }
}

impl ProfileSpeech {
    fn minutes_until(&self, end: Timestamp) -> u32 {
        let most = self.profile.valid_minutes();
        minutes_between(self.clock.wall(), end, most)
    }
}

/// Binds the requests that ask for receipts.
fn bind_asking(
    profile: &Profile,
    account: &GatewayAccount,
) -> Result<Option<BoundRequest>, ConfigError> {
    let account = GatewayAccount {
        has_receipts: true,
        ..account.clone()
    };
    let asking = profile.asks_receipts().then(|| profile.bind(&account));
    asking.transpose()
}

/// The name of the profile, the path if it is not the profile's, and the secrets by their names.
fn account_texts(profile_name: String, account: &GatewayAccount) -> Vec<String> {
    let url = account.url.as_deref().unwrap_or_default();
    let after_host = url.splitn(4, '/').nth(3).unwrap_or_default();
    let mut texts = vec![profile_name, after_host.to_owned()];
    for (name, secret) in &account.secrets {
        texts.extend([name.clone(), secret.expose().to_owned()]);
    }
    texts
}

impl Speech for ProfileSpeech {
    fn request(&self, envelope: &Envelope<'_>) -> Request<Full<Bytes>> {
        let message = MessageRequest {
            envelope: *envelope,
            valid_minutes: self.minutes_until(envelope.ends_at),
        };
        // A message may have no URL: not every node may know yet that receipts are asked for.
        let asks = !envelope.receipt_url.is_empty();
        let asking = self.asking.as_ref().filter(|_| asks);
        let requests = asking.unwrap_or(&self.requests);
        requests.request(&message).map(Full::new)
    }

    fn judge(&self, head: &Parts, body: &[u8], envelope: &Envelope<'_>) -> AnswerVerdict<'_> {
        let status = head.status.as_u16();
        let answer = WholeAnswer {
            status,
            headers: &head.headers,
            body,
        };
        verdict(&self.profile.judge(answer, envelope), status)
    }

    fn account(&self) -> Vec<&str> {
        self.account.iter().map(String::as_str).collect()
    }

    fn secrets(&self) -> &[String] {
        &self.secrets
    }
}

fn verdict<'p>(judgement: &AnswerJudgement<'p>, status: u16) -> AnswerVerdict<'p> {
    let outcome = match judgement.meaning {
        AnswerMeaning::Taken { .. } => GatewayOutcome::Done,
        AnswerMeaning::Refused { .. } => GatewayOutcome::Invalid,
        // A whole gateway that wants a pause gets one, whether it says how long or not.
        AnswerMeaning::Later { pause, scope } => GatewayOutcome::NotTaken {
            status,
            retry_after: pause.or((scope == LaterScope::Gateway).then_some(LEAST_PAUSE)),
            scope,
        },
        AnswerMeaning::Halt { scope } => GatewayOutcome::Halted { scope },
        AnswerMeaning::Unsure => GatewayOutcome::Unsure,
    };

    let unnamed = judgement.rule.is_none().then_some(NO_RULE);
    AnswerVerdict {
        outcome,
        why: judgement.why.or(unnamed),
    }
}

/// Whole minutes from now to the end of a mailing, within a bound: one at least, because providers take 0
/// for "no limit".
fn minutes_between(now: Timestamp, end: Timestamp, most: u32) -> u32 {
    let minutes = end.as_millis().saturating_sub(now.as_millis()) / 60_000;
    u32::try_from(minutes.max(1)).map_or(most, |minutes| minutes.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_valid_for_whole_minutes_until_the_end() {
        let minutes = |end| {
            minutes_between(
                Timestamp::from_millis(60_000),
                Timestamp::from_millis(end),
                2_880,
            )
        };
        assert_eq!(minutes(180_000), 2);
        assert_eq!(minutes(239_999), 2);
        assert_eq!(minutes(60_001), 1);
        assert_eq!(minutes(0), 1);
        assert_eq!(minutes(i64::MAX), 2_880);
    }

    #[test]
    fn a_wish_of_a_whole_gateway_without_a_time_is_a_pause_all_the_same() {
        let pause_of = |pause, scope| {
            let judgement = AnswerJudgement {
                meaning: AnswerMeaning::Later { pause, scope },
                rule: None,
                why: None,
            };
            match verdict(&judgement, 429).outcome {
                GatewayOutcome::NotTaken { retry_after, .. } => retry_after,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(pause_of(None, LaterScope::Gateway), Some(LEAST_PAUSE));
        assert_eq!(pause_of(None, LaterScope::Message), None);
        let named = Some(Duration::from_millis(5));
        assert_eq!(pause_of(named, LaterScope::Gateway), named);
    }
}
