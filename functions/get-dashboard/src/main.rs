//! Wiring of `get-dashboard`.

use analytics_domain::access::Operation;
use analytics_runtime::{Error, public_http};
use get_dashboard::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    public_http(Operation::GetDashboard, App::from_lookup, get_dashboard::handle).await
}
