//! The URL of the gateway, taken apart and checked before anything is sent.

use http::{HeaderValue, Uri};

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
        let uri: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
        let is_tls = is_tls(&uri)?;
        if uri.query().is_some() {
            return Err("a URL without a query is needed: the message's id follows it".to_owned());
        }

        let authority = uri.authority().ok_or("the URL has no host")?.as_str();
        // A password in the URL would show in logs and errors that name it.
        if authority.contains('@') {
            return Err("a URL without a password is needed: use gateway.token".to_owned());
        }
        let host_header = HeaderValue::from_str(authority)
            .map_err(|_| "the host cannot stand in a header".to_owned())?;

        Ok(Self {
            is_tls,
            host: uri.host().ok_or("the URL has no host")?.to_owned(),
            port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            path: uri.path().trim_end_matches('/').to_owned(),
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

fn is_tls(uri: &Uri) -> Result<bool, String> {
    match uri.scheme_str() {
        Some("http") => Ok(false),
        Some("https") => Ok(true),
        _ => Err("a URL that starts with http:// or https:// is needed".to_owned()),
    }
}
