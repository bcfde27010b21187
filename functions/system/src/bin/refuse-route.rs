//! Wiring of `refuse-route`.

use analytics_domain::access::Operation;
use analytics_runtime::{Error, public_http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    public_http(Operation::RefuseRoute, |_| Ok(()), system::refuse_route::handle).await
}
