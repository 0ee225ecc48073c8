//! The terms of sending, from whichever section has the gateway: `[gateway]` or `[[gateways]]`.

use super::Config;

/// The terms on which messages go to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayTerms {
    /// The most requests that one postman has in flight.
    pub concurrency: usize,
    /// Messages a second over the whole cluster; 0 means no limit.
    pub rate_limit: u32,
    /// Time for connecting, in milliseconds.
    pub connect_ms: u64,
    /// Time from the first byte written to the complete answer, in milliseconds.
    pub answer_ms: u64,
    /// Hours for which the gateway remembers an id, if it drops repeats.
    pub idempotent_hours: Option<u64>,
    /// The longest pause of one message that the gateway asks for, in milliseconds.
    pub wish_ms: u64,
}

/// The longest pause that a profile may ask for, in milliseconds: an hour.
const LONGEST_WISH_MS: u64 = 3_600_000;

impl Config {
    /// The terms of the gateway that this process sends to.
    pub fn gateway_terms(&self) -> GatewayTerms {
        if let Some(provider) = self.gateways.first() {
            return GatewayTerms {
                concurrency: provider.concurrency,
                rate_limit: provider.rate_limit(),
                connect_ms: provider.connect_timeout_ms,
                answer_ms: provider.timeout_ms,
                // No provider is known to drop repeats: a message in doubt stays in doubt.
                idempotent_hours: None,
                wish_ms: LONGEST_WISH_MS,
            };
        }

        let own = &self.gateway;
        GatewayTerms {
            concurrency: own.concurrency,
            rate_limit: own.rate_limit,
            connect_ms: own.connect_timeout_ms,
            answer_ms: own.timeout_ms,
            idempotent_hours: own.idempotent.then_some(own.idempotent_hours),
            wish_ms: self.retry.max_ms,
        }
    }

    /// Lowers the number of requests in flight.
    pub fn lower_concurrency(&mut self, most: usize) {
        let concurrency = match self.gateways.first_mut() {
            Some(provider) => &mut provider.concurrency,
            None => &mut self.gateway.concurrency,
        };
        *concurrency = most.min(*concurrency);
    }

    /// The section of the gateway, for messages to people.
    pub fn gateway_section(&self) -> &'static str {
        if self.gateways.is_empty() {
            "gateway"
        } else {
            "gateways[0]"
        }
    }
}
