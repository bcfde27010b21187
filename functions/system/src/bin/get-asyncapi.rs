//! Wiring of `get-asyncapi`.

use analytics_domain::access::Operation;
use analytics_runtime::{Error, public_http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    public_http(Operation::GetAsyncapi, |_| Ok(()), system::get_asyncapi::handle).await
}
