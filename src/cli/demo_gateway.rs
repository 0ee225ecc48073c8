//! The practice gateway of the demo: in notty's own protocol, or in the place of a provider whose secrets are
//! made up.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use crate::{
    config::{Config, ConfigError, ProviderConfig, Secret},
    gateway::{
        practice::{Behaviour, Practice, PracticeProvider},
        profile::{Profile, built_in},
    },
};

/// The sender of the demo's messages.
const SENDER: &str = "NOTTY";

/// A practice gateway that runs.
pub(super) struct DemoGateway {
    pub(super) practice: Arc<Practice>,
    pub(super) address: SocketAddr,
    provider: Option<DemoProvider>,
}

/// The provider that it stands for.
struct DemoProvider {
    name: String,
    /// The path of a message, with placeholders.
    path: String,
    secrets: BTreeMap<String, Secret>,
    /// True if each request names a URL for receipts.
    asks_receipts: bool,
}

impl DemoGateway {
    /// Rejects a profile that does not exist.
    pub(super) fn check(profile: Option<&str>) -> Result<(), ConfigError> {
        profile.map_or(Ok(()), |name| built_in::find(name).map(drop))
    }

    /// Starts it with a delay of its answers.
    pub(super) fn start(profile: Option<&str>, latency_ms: u64) -> anyhow::Result<Self> {
        let behaviour = Behaviour {
            latency_ms,
            ..Behaviour::default()
        };
        let (practice, provider) = match profile {
            None => (Practice::new(String::new(), behaviour), None),
            Some(name) => DemoProvider::practice(name, behaviour)?,
        };
        let address = practice.spawn(std::net::TcpListener::bind("127.0.0.1:0")?)?;
        Ok(Self {
            practice,
            address,
            provider,
        })
    }

    /// Makes a node send here, with so many requests in flight.
    pub(super) fn configure(&self, config: &mut Config, concurrency: usize) {
        match &self.provider {
            Some(provider) => {
                config.gateways = vec![provider.config(self.address, concurrency)];
            }
            None => {
                config.gateway.url = format!("http://{}/v1/send", self.address);
                config.gateway.concurrency = concurrency;
            }
        }
    }

    /// The same as a section of a configuration file; `None` in notty's own protocol.
    pub(super) fn section(&self, concurrency: usize) -> Option<String> {
        let provider = self.provider.as_ref()?;
        Some(provider.section(self.address, concurrency))
    }

    /// True if it reports what became of each message.
    pub(super) fn reports(&self) -> bool {
        let provider = self.provider.as_ref();
        provider.is_some_and(|provider| provider.asks_receipts)
    }

    /// The address of its page, with the name of the provider that it stands for.
    pub(super) fn shown(&self) -> String {
        let address = format!("http://{}/", self.address);
        match &self.provider {
            Some(provider) => format!("{address} as {}", provider.name),
            None => address,
        }
    }
}

impl DemoProvider {
    fn practice(name: &str, behaviour: Behaviour) -> anyhow::Result<(Arc<Practice>, Option<Self>)> {
        let profile = built_in::find(name)?;
        let secrets = made_up(&profile);
        let asks_receipts = profile.asks_receipts();
        let provider = PracticeProvider::new(name, profile, secrets.clone())?;

        // Everybody may see them: they are worth nothing.
        let provider = provider.showing_secrets();
        let demo = Self {
            name: name.to_owned(),
            path: provider.path().to_owned(),
            secrets,
            asks_receipts,
        };
        let practice = Practice::of(provider, behaviour).map_err(ConfigError)?;
        Ok((practice, Some(demo)))
    }

    fn config(&self, address: SocketAddr, concurrency: usize) -> ProviderConfig {
        ProviderConfig {
            name: "demo".to_owned(),
            profile: self.name.clone(),
            url: self.url(address),
            sender: SENDER.to_owned(),
            secrets: self.secrets.clone(),
            concurrency,
            ..ProviderConfig::default()
        }
    }

    fn section(&self, address: SocketAddr, concurrency: usize) -> String {
        let (name, url) = (&self.name, self.url(address));
        let secrets = self.secrets.iter();
        let secrets = secrets.map(|(name, value)| format!("{name} = {:?}\n", value.expose()));
        let secrets: String = secrets.collect();
        format!(
            "[[gateways]]\nname = \"demo\"\nprofile = {name:?}\nurl = {url:?}\nsender = {SENDER:?}\n\
             concurrency = {concurrency}\n[gateways.secrets]\n{secrets}"
        )
    }

    fn url(&self, address: SocketAddr) -> String {
        format!("http://{address}{}", self.path)
    }
}

/// A value for each secret that the profile needs.
fn made_up(profile: &Profile) -> BTreeMap<String, Secret> {
    let names = profile.secrets().into_iter();
    let secrets = names.map(|name| {
        let value = format!("demo-{}", name.replace('_', "-"));
        (name.to_owned(), Secret::from(value.as_str()))
    });
    secrets.collect()
}
