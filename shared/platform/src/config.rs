//! Reading configuration: each function parses its own `Config` once, from a lookup that tests can replace.

/// A key that is missing or makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{key} is not set")]
    Missing { key: &'static str },
    #[error("{key} is {value:?}, but must be {expected}")]
    Invalid { key: &'static str, value: String, expected: &'static str },
    #[error("no TLS: {0}")]
    Tls(String),
}

/// Where configuration comes from.
pub trait Lookup {
    fn find(&self, key: &str) -> Option<String>;

    /// # Errors
    /// If the key is absent or empty.
    fn required(&self, key: &'static str) -> Result<String, ConfigError> {
        self.find(key).filter(|value| !value.is_empty()).ok_or(ConfigError::Missing { key })
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
}
