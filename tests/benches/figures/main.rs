//! The figures of `docs/benchmarks.md`, all measured in one run on real parts: Docker engines, the built binaries,
//! network namespaces. Prints a table and writes `target/bench.json`.

mod engine_client;
mod footprint;
mod fsync;
mod intake;
mod latency;
mod list;
mod machine;
mod options;
mod processes;
mod report;
mod stage;
mod statistics;

use options::{Options, Part};
use report::Report;
use stage::{Fleet, Hosts};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [argument, folder] = arguments.as_slice()
        && argument == intake::recovery::ARGUMENT
    {
        return intake::recovery::recover(folder).await;
    }
    let options = Options::from_arguments(arguments.into_iter())?;
    report::say(&format!("engines with {:?} containers", options.containers));
    let hosts = Hosts::start(&options.containers).await?;
    let mut report = Report::new(machine::describe(&hosts).await, &options)?;
    if options.wants(Part::Intake) {
        report.add(intake::measure(options.intake).await?)?;
    }
    if !options.needs_engines() {
        report.print();
        return Ok(());
    }
    let before = match options.wants(Part::Footprint) {
        true => Some(footprint::engines_alone(&hosts, options.idle).await?),
        false => None,
    };
    report::say("a controller, and an agent for each engine");
    let fleet = Fleet::start(hosts).await?;
    if let Some(before) = before {
        report.add(footprint::idle(&fleet, &before, options.idle).await?)?;
    }
    if options.wants(Part::List) {
        report.add(list::measure(&fleet).await?)?;
    }
    if options.wants(Part::Latency) {
        report.add(latency::measure(&fleet, options.starts).await?)?;
    }
    report.print();
    Ok(())
}
