//! A client of the live streams.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use crate::stack::PATIENCE;

/// An open WebSocket.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// All frames that came.
    pub heard: Vec<Value>,
}

impl Socket {
    /// Connects with these query parameters.
    ///
    /// # Errors
    /// If it is refused, with the status in the text.
    pub async fn open(url: &str, query: &str) -> Result<Self> {
        match connect_async(format!("{url}?{query}")).await {
            Ok((stream, _)) => Ok(Self { stream, heard: Vec::new() }),
            Err(Error::Http(answer)) => bail!("refused: {}", answer.status()),
            Err(error) => Err(error.into()),
        }
    }

    /// Connects with these subprotocols, and returns the one that was agreed on.
    ///
    /// # Errors
    /// As [`Socket::open`].
    pub async fn open_by_subprotocol(url: &str, offered: &str) -> Result<(Self, String)> {
        let mut request = url.into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", offered.parse()?);
        let (stream, answer) = connect_async(request).await?;
        let agreed = answer.headers().get("sec-websocket-protocol").context("none was agreed on")?;
        Ok((Self { stream, heard: Vec::new() }, agreed.to_str()?.to_owned()))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn say(&mut self, message: &Value) -> Result<()> {
        Ok(self.stream.send(Message::text(message.to_string())).await?)
    }

    /// The next frame.
    ///
    /// # Errors
    /// If none comes for a minute, or the connection ends.
    pub async fn hear(&mut self) -> Result<Value> {
        self.hear_within(PATIENCE).await?.context("no frame came")
    }

    /// The next frame, if one comes so soon.
    ///
    /// # Errors
    /// If the connection ends.
    pub async fn hear_within(&mut self, patience: Duration) -> Result<Option<Value>> {
        loop {
            let Ok(next) = tokio::time::timeout(patience, self.stream.next()).await else { return Ok(None) };
            match next.context("the connection has ended")?? {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text)?;
                    self.heard.push(frame.clone());
                    return Ok(Some(frame));
                }
                Message::Close(reason) => bail!("closed: {reason:?}"),
                _ => {}
            }
        }
    }

    /// The next frame, which is of this type.
    ///
    /// # Errors
    /// As [`Socket::hear`], or if it is of another type.
    pub async fn expect(&mut self, kind: &str) -> Result<Value> {
        let frame = self.hear().await?;
        ensure!(frame["type"] == kind, "{kind} was expected: {frame}");
        Ok(frame)
    }

    /// The next frames, which are of these types.
    ///
    /// # Errors
    /// As [`Socket::expect`].
    pub async fn expect_all(&mut self, kinds: &[&str]) -> Result<()> {
        for kind in kinds {
            self.expect(kind).await?;
        }
        Ok(())
    }

    /// Closes it.
    ///
    /// # Errors
    /// If it has ended already.
    pub async fn close(mut self) -> Result<()> {
        Ok(self.stream.close(None).await?)
    }
}
