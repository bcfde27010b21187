//! Search over ten million events of one account while more arrive.

use anyhow::Result;

use crate::{local::Local, report::Figure};

pub async fn measure(_local: &Local) -> Result<Figure> {
    Ok(Figure::new("search"))
}
