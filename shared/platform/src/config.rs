//! Reading configuration: each function parses its own `Config` once, from a lookup that tests can replace.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A key that is missing or makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{key} is not set")]
    Missing { key: &'static str },
    #[error("{key} is {value:?}, but must be {expected}")]
    Invalid { key: &'static str, value: String, expected: &'static str },
    /// As `Invalid`, for a value that may hold a secret.
    #[error("{key} must be {expected}")]
    Unusable { key: &'static str, expected: &'static str },
    #[error(
        "{key} is an address with http://, which sends tokens and passwords in the clear: use https://. Only the addresses of \
         this machine (127.0.0.1, [::1], localhost) may use http://"
    )]
    Unencrypted { key: &'static str },
}

/// Where configuration comes from.
pub trait Lookup {
    fn find(&self, key: &str) -> Option<String>;

    /// # Errors
    /// If the key is absent or empty.
    fn required(&self, key: &'static str) -> Result<String, ConfigError> {
        self.find(key).filter(|value| !value.is_empty()).ok_or(ConfigError::Missing { key })
    }

    /// An address to connect to, as [`check_url`] has it.
    ///
    /// # Errors
    /// If the key is absent or empty, or the address may not be used.
    fn url(&self, key: &'static str) -> Result<String, ConfigError> {
        let url = self.required(key)?;
        check_url(key, &url)?;
        Ok(url)
    }

    /// # Errors
    /// If the key is present but does not parse.
    fn parsed<T: std::str::FromStr>(
        &self,
        key: &'static str,
        default: T,
        expected: &'static str,
    ) -> Result<T, ConfigError> {
        match self.find(key).filter(|value| !value.is_empty()) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| ConfigError::Invalid { key, value, expected }),
        }
    }
}

impl<F: Fn(&str) -> Option<String>> Lookup for F {
    fn find(&self, key: &str) -> Option<String> {
        self(key)
    }
}

/// Holds an address to https, or to http on this machine. Errors never quote the address, which may hold a password.
///
/// # Errors
/// If the address is anything else.
pub fn check_url(key: &'static str, url: &str) -> Result<(), ConfigError> {
    let unusable = ConfigError::Unusable { key, expected: "an address with https://" };
    let Some((scheme, rest)) = url.split_once("://") else { return Err(unusable) };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        _ if host.is_empty() => Err(unusable),
        "https" => Ok(()),
        "http" if is_loopback(host) => Ok(()),
        "http" => Err(ConfigError::Unencrypted { key }),
        _ => Err(unusable),
    }
}

/// Whether a host, perhaps with a port, can only be this machine.
fn is_loopback(host: &str) -> bool {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    let name = host.split(':').next().unwrap_or_default();
    name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// The process's environment. The one place that reads it.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn environment(key: &str) -> Option<String> {
    std::env::var(key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_key_that_is_missing_or_wrong() {
        let lookup = |key: &str| (key == "RETENTION_DAYS").then(|| "many".to_owned());
        assert_eq!(lookup.required("QUEUE").unwrap_err().to_string(), "QUEUE is not set");
        assert_eq!(
            lookup.parsed("RETENTION_DAYS", 400_u32, "a number of days").unwrap_err().to_string(),
            "RETENTION_DAYS is \"many\", but must be a number of days"
        );
    }

    #[test]
    fn only_this_machine_is_reached_without_tls() {
        for url in [
            "https://abc.eu-central-1.aws.clickhouse.cloud:8443",
            "HTTPS://keys.example.test/jwks.json",
            "http://127.0.0.1:8123",
            "http://127.8.8.8",
            "http://localhost:4566/x",
            "HTTP://LocalHost",
            "http://[::1]:8123/",
            "http://user:secret@127.0.0.1:8123",
        ] {
            assert_eq!(check_url("CLICKHOUSE_URL", url), Ok(()), "{url}");
        }
        for url in [
            "http://clickhouse.example.test:8123",
            "http://10.0.0.7:8123",
            "http://0.0.0.0:8123",
            "http://127.0.0.1.example.test",
            "http://localhost.example.test",
            "http://127.0.0.1@example.test",
            "http://example.test#@127.0.0.1",
            "http://example.test\\@127.0.0.1",
            "http://[::2]:8123",
            "http://[::ffff:10.0.0.7]",
            "http://2130706433",
        ] {
            let refused = check_url("CLICKHOUSE_URL", url).expect_err(url);
            assert_eq!(refused, ConfigError::Unencrypted { key: "CLICKHOUSE_URL" }, "{url}");
        }
        for url in ["", "http://", "https://", "https://@", "127.0.0.1:8123", "ftp://127.0.0.1", "file:///etc/passwd"] {
            assert!(check_url("CLICKHOUSE_URL", url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_never_quoted() {
        let lookup = |_: &str| Some("http://user:hunter2@example.test".to_owned());
        let refused = lookup.url("CLICKHOUSE_URL").expect_err("refused").to_string();
        assert!(refused.starts_with("CLICKHOUSE_URL ") && refused.contains("https://"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
