//! The URL of the gateway, taken apart and checked before anything is sent.

use http::HeaderValue;

use crate::address::HttpUrl;

/// The parts of the gateway's URL.
pub(super) struct GatewayUrl {
    pub(super) is_tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// The path without a slash at its end: the message's id follows it.
    pub(super) path: String,
    pub(super) host_header: HeaderValue,
}

impl GatewayUrl {
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let url = HttpUrl::parse(url).map_err(|fault| format!("the URL {fault}"))?;
        let host_header = HeaderValue::from_str(&url.authority)
            .map_err(|_| "the host cannot stand in a header".to_owned())?;

        Ok(Self {
            is_tls: url.is_tls,
            host: url.host,
            port: url.port,
            path: url.path,
            host_header,
        })
    }

    /// The same text for every writing of the same URL.
    pub(super) fn normal_form(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        let host = self.host.to_lowercase();
        format!("{scheme}://{host}:{}{}", self.port, self.path)
    }
}
