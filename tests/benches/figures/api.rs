//! What people wait for: pages of very many containers beside a bare server of the same bytes, what is told of live
//! beside the acknowledgement of the same event, and the start of a controller.

pub mod bare;
mod client;
mod pages;
mod start;
mod told;

use crate::options::Options;
use crate::report::Report;

/// Hosts, and containers of each.
const HOSTS: usize = 1000;
const CONTAINERS: usize = 20;

/// Measures all of it.
///
/// # Errors
/// When something does not work at all: a figure that misses its goal is no error.
pub async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    roadstead_controller::cli::raise_file_limit();
    let keys = roadstead_tests::scratch::Scratch::new()?;
    report.add(pages::measure(options.api, keys.path()).await?)?;
    report.add(told::measure(options.api, keys.path()).await?)?;
    report.add(start::measure(options.quick).await?)
}
