//! Notes, with a table that is faked where it has to be.

use std::time::Duration;

use analytics_platform::aws::sdk_config;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::*;

#[test]
fn accounts_are_found_where_they_were_noted_and_spread_over_all_slots() {
    assert_eq!(
        ["", "a", "demo", "#leases"].map(|id| slot_of(&AccountId::stored(id))),
        [5, 4, 6, 1],
        "items that are stored lie there"
    );
    let slots: BTreeSet<u32> =
        (0..100).map(|number| slot_of(&AccountId::stored(&format!("account-{number}")))).collect();
    assert_eq!(slots, (0..SLOTS).collect());
}

/// A table that takes this long for each note, and refuses those of one account.
async fn table(delay: Duration, refused: &'static str) -> WorkTable {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(connection, delay, refused));
        }
    });
    let lookup = |key: &str| match key {
        "AWS_ENDPOINT_URL" => Some(url.clone()),
        "AWS_REGION" => Some("eu-central-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
        _ => None,
    };
    WorkTable::new(crate::client(&sdk_config(&lookup).unwrap()), "rollups")
}

/// Answers one request after the other, until the client goes.
async fn answer(mut connection: TcpStream, delay: Duration, refused: &'static str) {
    loop {
        let mut request = Vec::new();
        // It ends with a JSON object.
        while !request.ends_with(b"}") {
            match connection.read_buf(&mut request).await {
                Ok(bytes) if bytes > 0 => {}
                _ => return,
            }
        }
        sleep(delay).await;
        let (status, body) = if String::from_utf8_lossy(&request).contains(refused) {
            ("400 Bad Request", r#"{"__type":"com.amazon.coral.validate#ValidationException"}"#)
        } else {
            ("200 OK", "{}")
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if connection.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn accounts(count: usize) -> BTreeSet<AccountId> {
    (0..count).map(|number| AccountId::stored(&format!("account-{number:04}"))).collect()
}

#[tokio::test]
async fn an_account_that_cannot_be_noted_keeps_no_other_from_being_noted() {
    let (table, accounts) = (table(Duration::ZERO, "account-0003").await, accounts(300));
    let error = table.note(&accounts, 0).await.expect_err("one is refused");
    assert!(error.to_string().contains("ValidationException"), "{error}");
    let lacking: Vec<&AccountId> = accounts.iter().filter(|account_id| !table.is_noted(account_id, 0)).collect();
    assert_eq!(lacking, [&AccountId::stored("account-0003")]);
    let found: Vec<(AccountId, i64)> = accounts.into_iter().map(|account_id| (account_id, 0)).collect();
    assert!(table.note_found(&found, false, 0).await.is_err());
    assert!(table.note_found(&found[100..], false, 0).await.is_ok());
}

#[tokio::test]
async fn if_there_is_no_time_for_all_it_is_not_always_the_same_that_are_left_out() {
    // Each time, an eighth of them is noted.
    for _ in 0..20 {
        let (table, accounts) = (table(Duration::from_millis(300), "nobody").await, accounts(8 * AT_ONCE));
        let noted = timeout(Duration::from_millis(500), table.note(&accounts, 0)).await;
        assert!(noted.is_err(), "there is no time for all");
        if !table.is_noted(&AccountId::stored("account-0000"), 0) {
            return;
        }
    }
    panic!("the first account by name is always noted");
}
