//! Wiring of `get-openapi`.

use analytics_domain::access::Operation;
use analytics_runtime::{Error, public_http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    public_http(Operation::GetOpenapi, |_| Ok(()), system::get_openapi::handle).await
}
