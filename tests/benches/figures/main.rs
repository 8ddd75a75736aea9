//! The figures of `docs/benchmarks.md`, all measured in one run on real parts: Docker engines, the built binaries,
//! network namespaces. Prints a table and writes `target/bench.json`.

mod api;
mod engine_client;
mod fleet;
mod footprint;
mod fsync;
mod growth;
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
    match arguments.as_slice() {
        [argument, folder] if argument == intake::recovery::ARGUMENT => {
            return intake::recovery::recover(folder).await;
        }
        [argument, file] if argument == api::bare::ARGUMENT => return api::bare::serve(file).await,
        [argument] if argument == fleet::echo::ARGUMENT => return fleet::echo::serve().await,
        _ => {}
    }
    let options = Options::from_arguments(arguments.into_iter())?;
    let mut report = if options.needs_engines() {
        with_engines(&options).await?
    } else {
        Report::new(machine::describe(None).await, &options)?
    };
    if options.wants(Part::Growth) {
        report.add(growth::measure(options.events).await?)?;
    }
    if options.wants(Part::Intake) {
        report.add(intake::measure(options.intake).await?)?;
    }
    if options.wants(Part::Fleet) {
        fleet::measure(&options, &mut report).await?;
    }
    if options.wants(Part::Api) {
        api::measure(&options, &mut report).await?;
    }
    report.print();
    Ok(())
}

/// What is measured on Docker engines.
async fn with_engines(options: &Options) -> anyhow::Result<Report> {
    report::say(&format!("engines with {:?} containers", options.containers));
    let hosts = Hosts::start(&options.containers).await?;
    let engine = hosts.all().next().map(|host| &host.engine);
    let mut report = Report::new(machine::describe(engine).await, options)?;
    let before = match options.wants(Part::Footprint) {
        true => Some(footprint::engines_alone(&hosts, options.idle).await?),
        false => None,
    };
    report::say("a controller, and an agent for each engine");
    let fleet = Fleet::start(hosts).await?;
    if let Some(before) = before {
        report.add(footprint::idle(&fleet, &before, options.settle, options.idle).await?)?;
        report.add(footprint::watched(&fleet, &before, options.idle / 2).await?)?;
    }
    if options.wants(Part::List) {
        report.add(list::measure(&fleet).await?)?;
    }
    if options.wants(Part::Latency) {
        report.add(latency::measure(&fleet, options.starts).await?)?;
    }
    Ok(report)
}
