//! Waits for servers of this machine.

use std::time::Duration;

use anyhow::Result;

/// The status of a GET, none while nobody answers.
pub async fn status(url: &str) -> Result<Option<u16>> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    Ok(client.get(url).send().await.ok().map(|response| response.status().as_u16()))
}
