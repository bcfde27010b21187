//! From accepted to searchable on the running stack.

use anyhow::Result;

use crate::{local::Local, report::Figure};

pub async fn measure(_local: &Local) -> Result<Figure> {
    Ok(Figure::new("pipeline"))
}
