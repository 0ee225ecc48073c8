//! Addresses as people write them in settings and commands: a host with a port, and the URL of an HTTP
//! service.
//!
//! Both are read completely: a part that cannot be read is a fault, and never becomes a default. A fault
//! is the end of a sentence about the address, and repeats no part that may be a password. No name is
//! looked up here: a host that is not known yet is right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

/// The longest name of a host, in characters, and of one part of it between dots.
const NAME_CHARS: usize = 253;
const LABEL_CHARS: usize = 63;

/// A host and a port, like `10.0.0.1:7080`, `[fd00::1]:7080` or `notty-0.example:7080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or IP address in lower case; an IPv6 address without its brackets.
    pub host: String,
    /// The port, from 1 to 65535.
    pub port: u16,
}

impl HostPort {
    /// Reads an address that others connect to.
    pub fn parse(text: &str) -> Result<Self, String> {
        refuse_blanks(text)?;
        if text.contains("://") {
            return Err("is a URL; a host and a port without `http://` are needed".to_owned());
        }

        let (host, port) = split_port(text)?;
        let port = port.ok_or("has no port")?;
        Ok(Self {
            host: parse_host(host)?,
            port: parse_port(port)?,
        })
    }

    /// True if the host stands for all addresses of a machine: one can listen there, but not connect.
    pub fn is_unspecified(&self) -> bool {
        let address: Option<IpAddr> = self.host.parse().ok();
        address.is_some_and(|address| address.is_unspecified())
    }
}

/// The URL of an HTTP service, without a query: a path is added to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// True for a URL of `https`.
    pub is_tls: bool,
    /// Name or IP address as it was written; an IPv6 address in its brackets.
    pub host: String,
    /// The port, from 1 to 65535; 80 or 443 if the URL names none.
    pub port: u16,
    /// Host and port as they were written, as a request's `Host` has them.
    pub authority: String,
    /// The path without a slash at its end.
    pub path: String,
}

impl HttpUrl {
    /// Reads a URL, and refuses all that a request would leave out.
    pub fn parse(text: &str) -> Result<Self, String> {
        refuse_blanks(text)?;
        let (is_tls, rest) = split_scheme(text)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        refuse_extras(rest, authority)?;

        let (host, port) = split_port(authority)?;
        parse_host(host)?;
        let usual = if is_tls { 443 } else { 80 };
        let port = port.map_or(Ok(usual), parse_port)?;

        // The characters of the path are checked by the library that sends it.
        let uri: Uri = text
            .parse()
            .map_err(|error| format!("is no URL: {error}"))?;
        Ok(Self {
            is_tls,
            host: host.to_owned(),
            port,
            authority: authority.to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The address that requests connect to.
    pub fn host_port(&self) -> HostPort {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        HostPort {
            host: host.to_lowercase(),
            port: self.port,
        }
    }
}

/// Refuses blanks, which are invisible at the ends of a text.
fn refuse_blanks(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    let blank = |c: char| c.is_whitespace() || c.is_control();
    if text.contains(blank) {
        return Err("has a space or a line end in it".to_owned());
    }
    Ok(())
}

fn split_scheme(url: &str) -> Result<(bool, &str), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok((false, rest)),
        "https" => Ok((true, rest)),
        _ => Err("is no URL that starts with http:// or https://".to_owned()),
    }
}

/// Refuses the parts of a URL that no request carries, or that must not be seen.
fn refuse_extras(rest: &str, authority: &str) -> Result<(), String> {
    let fault = if authority.contains('@') {
        "has a user name or password in it, which would show in logs"
    } else if rest.contains('#') {
        "has a fragment (`#…`), which is never sent"
    } else if rest.contains('?') {
        "has a query (`?…`), but a path is added to it"
    } else if authority.is_empty() {
        "has no host"
    } else {
        return Ok(());
    };
    Err(fault.to_owned())
}

/// Takes the port off a host.
fn split_port(text: &str) -> Result<(&str, Option<&str>), String> {
    let after_host = text.rfind(']').map_or(0, |end| end + 1);
    match text[after_host..].split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err("has an IPv6 address without brackets; write it like [fd00::1]:7080".to_owned())
        }
        Some((host, port)) => Ok((&text[..after_host + host.len()], Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_port(port: &str) -> Result<u16, String> {
    let is_plain = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    let number = port.parse::<u16>().ok().filter(|_| is_plain);
    number.ok_or_else(|| format!("has the port `{port}`, which is not a number from 1 to 65535"))
}

fn parse_host(host: &str) -> Result<String, String> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').unwrap_or_default();
        let address = address.parse::<Ipv6Addr>();
        return address
            .map(|address| address.to_string())
            .map_err(|_| format!("has `{host}` in it, which is not an IPv6 address"));
    }

    // A name whose last part is a number is an address to every resolver.
    let last = host.rsplit('.').next().unwrap_or_default();
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        let address = host.parse::<Ipv4Addr>();
        return address
            .map(|address| address.to_string())
            .map_err(|_| format!("has the host `{host}`, which is not an IPv4 address"));
    }
    parse_name(host)
}

fn parse_name(name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err("has no host".to_owned());
    }
    // A dot at the end says that the name is complete.
    let mut labels = name.strip_suffix('.').unwrap_or(name).split('.');
    if name.len() <= NAME_CHARS && labels.all(is_label) {
        return Ok(name.to_lowercase());
    }
    Err(format!("has `{name}` in it, which is no name of a host"))
}

/// True for one part of a host's name. Underscores are not in the rules, but in use.
fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let edges = !label.starts_with('-') && !label.ends_with('-');
    (1..=LABEL_CHARS).contains(&label.len()) && edges && label.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_port_is_read_completely() {
        for (right, host, port) in [
            ("10.0.0.1:7080", "10.0.0.1", 7080),
            ("[FD00::1]:1", "fd00::1", 1),
            ("Notty_0.example.:65535", "notty_0.example.", 65535),
            ("h:9", "h", 9),
        ] {
            let host = host.to_owned();
            assert_eq!(
                HostPort::parse(right),
                Ok(HostPort { host, port }),
                "{right}"
            );
        }
        for wrong in [
            "",
            " h:1",
            "h:1 ",
            "h:1\n",
            "h",
            "h:",
            ":1",
            "h:0",
            "h:+1",
            "h:-1",
            "h:01",
            "h:65536",
            "h:1:2",
            "::1:7080",
            "fd00::1",
            "[fd00::1]",
            "[fd00::1",
            "[]:1",
            "[h]:1",
            "[::1]x:1",
            "http://h:1",
            "a b:1",
            "10.0.0:1",
            "10.0.0.256:1",
            "1:1",
            "-h:1",
            "h-:1",
            "a..b:1",
            ".h:1",
            "h/x:1",
            "h@x:1",
            "хост:1",
            "h:１",
        ] {
            assert!(HostPort::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_for_listening_is_known() {
        for (text, unspecified) in [
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("127.0.0.1:1", false),
        ] {
            let address = HostPort::parse(text).expect("an address");
            assert_eq!(address.is_unspecified(), unspecified, "{text}");
        }
    }

    #[test]
    fn a_url_is_read_completely() {
        let url = HttpUrl::parse("HTTPS://Sms.Example/v1/send/").expect("a URL");
        assert_eq!(
            (url.is_tls, url.port, url.path.as_str()),
            (true, 443, "/v1/send")
        );
        assert_eq!(url.host_port().host, "sms.example");
        let url = HttpUrl::parse("http://[::1]:81").expect("a URL");
        assert_eq!(
            (url.host.as_str(), url.authority.as_str()),
            ("[::1]", "[::1]:81")
        );
        for wrong in [
            "",
            "x",
            "ftp://x",
            "//x",
            "http:/x",
            "http://",
            "http:///x",
            "http://:80",
            "http://h:0",
            "http://h:99999",
            "http://h:+1",
            "http://h:",
            "http://u:p@h",
            "http://u@h/",
            "http://h#a",
            "http://h/#a",
            "http://h?a",
            "http://h/?a=1",
            " http://h",
            "http://h ",
            "http://h/a b",
            "http://::1",
            "http://fd00::1:80/",
            "http://10.0.0.300/",
            "http://h\\x",
            "http://h/\u{7f}",
        ] {
            assert!(HttpUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let fault = HttpUrl::parse("http://user:hush@h/").expect_err("refused");
        assert!(!fault.contains("hush"), "{fault}");
    }
}
