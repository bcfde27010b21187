//! Sends the content of the dead-letter queue back to the queue it came from, once its cause is gone.
//!
//! Works on the running local stack, or on AWS with `DEAD_LETTER_QUEUE_URL` and credentials in the environment.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use aws_credential_types::Credentials;
use aws_sdk_sqs::config::{BehaviorVersion, Region};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use aws_sdk_sqs::{Client, Config as SqsConfig};
use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::config::{ACCESS_KEY, Config, Queues, REGION};
use crate::deploy;

/// Most messages of one receive.
const AT_ONCE: i32 = 10;
/// Why a message was set aside. It says nothing about the next try, so it is not sent back.
const REASON: &str = "reason";

pub async fn redrive(config: &Config) -> Result<()> {
    let queues = match &config.queues {
        Some(queues) => queues.clone(),
        None => local_queues(config)?,
    };
    let sqs = client(&queues);
    // No more than there are now: what fails again must not go round in circles.
    let waiting = count(&sqs, &queues.dead_letters).await?;
    let mut reasons = BTreeMap::<String, usize>::new();
    let mut sent = 0;
    while sent < waiting {
        let request = sqs.receive_message().queue_url(&queues.dead_letters).message_attribute_names("All");
        let answer = request.max_number_of_messages(AT_ONCE).wait_time_seconds(1).send().await?;
        if answer.messages().is_empty() {
            break;
        }
        for message in answer.messages() {
            *reasons.entry(send_back(&sqs, &queues, message).await?).or_default() += 1;
            sent += 1;
        }
    }
    println!("{sent} messages sent back");
    for (reason, number) in reasons {
        println!("{number:>7}  {reason}");
    }
    Ok(())
}

/// Deletes only what was taken: a stop in between leaves a message in both queues, which counts once.
async fn send_back(sqs: &Client, queues: &Queues, message: &Message) -> Result<String> {
    let mut attributes = message.message_attributes().cloned().unwrap_or_default();
    let reason = attributes.remove(REASON).and_then(|reason| reason.string_value);
    let body = message.body().context("a message without a body")?;
    sqs.send_message()
        .queue_url(&queues.events)
        .message_body(body)
        .set_message_attributes(Some(attributes))
        .send()
        .await?;
    let receipt = message.receipt_handle().context("a message without a receipt")?;
    sqs.delete_message().queue_url(&queues.dead_letters).receipt_handle(receipt).send().await?;
    Ok(reason.unwrap_or_else(|| "received too often".to_owned()))
}

async fn count(sqs: &Client, queue: &str) -> Result<usize> {
    let name = QueueAttributeName::ApproximateNumberOfMessages;
    let answer = sqs.get_queue_attributes().queue_url(queue).attribute_names(name.clone()).send().await?;
    let text = answer.attributes().and_then(|attributes| attributes.get(&name)).context("no count of messages")?;
    Ok(text.parse()?)
}

fn local_queues(config: &Config) -> Result<Queues> {
    let outputs = deploy::current(config)?;
    Ok(Queues {
        events: outputs.events_queue_url,
        dead_letters: outputs.events_dead_letter_queue_url,
        region: REGION.to_owned(),
        endpoint: Some(config.aws_url()),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: ACCESS_KEY.to_owned(),
        session_token: None,
    })
}

fn client(queues: &Queues) -> Client {
    let (key, secret, token) = (&queues.access_key, &queues.secret_key, queues.session_token.clone());
    let mut config = SqsConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(queues.region.clone()))
        .credentials_provider(Credentials::new(key, secret, token, None, "environment"))
        .http_client(HttpClient::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https());
    config.set_endpoint_url(queues.endpoint.clone());
    Client::from_conf(config.build())
}
