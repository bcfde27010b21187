//! Wiring of `get-dashboard`.

use std::future::ready;

use analytics_domain::access::Operation;
use analytics_runtime::{Error, public_http};
use system::get_dashboard::{App, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    public_http(Operation::GetDashboard, App::from_lookup, |app, request| ready(handle(app, &request))).await
}
