//! Wiring of `get-health`.

use analytics_domain::access::Operation;
use analytics_runtime::{Error, public_http};
use system::get_health::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    public_http(Operation::GetHealth, App::from_lookup, system::get_health::handle).await
}
