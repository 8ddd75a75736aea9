//! The table and the file.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use crate::options::Options;

/// One figure.
#[derive(Debug, Serialize)]
pub struct Row {
    what: String,
    measured: f64,
    unit: &'static str,
    /// The most it should be, in the same unit, or the least.
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<f64>,
    #[serde(skip)]
    relation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<bool>,
}

/// The figures of one benchmark.
#[derive(Debug, Serialize)]
pub struct Section {
    title: String,
    notes: Vec<String>,
    rows: Vec<Row>,
}

/// All of them.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: Value,
    quick: bool,
    sections: Vec<Section>,
    #[serde(skip)]
    file: PathBuf,
}

impl Row {
    /// A figure without a goal.
    pub fn new(what: String, measured: f64, unit: &'static str) -> Self {
        Self { what, measured, unit, goal: None, relation: "≤", reached: None }
    }

    /// With a goal.
    pub fn at_most(self, goal: f64) -> Self {
        let reached = Some(self.measured <= goal);
        Self { goal: Some(goal), reached, ..self }
    }

    /// With a goal that it should not fall below.
    pub fn at_least(self, goal: f64) -> Self {
        let reached = Some(self.measured >= goal);
        Self { goal: Some(goal), relation: "≥", reached, ..self }
    }

    fn line(&self) -> String {
        let goal = self.goal.map_or_else(String::new, |goal| format!("{} {}", self.relation, number(goal)));
        let verdict = match self.reached {
            Some(true) => "reached",
            Some(false) => "**missed**",
            None => "",
        };
        format!("| {} | {} {} | {goal} | {verdict} |", self.what, number(self.measured), self.unit)
    }
}

impl Section {
    /// An empty one.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), notes: Vec::new(), rows: Vec::new() }
    }

    /// Says something about all its figures.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Adds a figure.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    fn text(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(Row::line).collect();
        format!(
            "\n### {}\n\n{}.\n\n| figure | measured | goal | |\n|---|---|---|---|\n{}\n",
            self.title,
            self.notes.join(". "),
            rows.join("\n")
        )
    }
}

impl Report {
    /// An empty one, for the folder where cargo builds.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn new(machine: Value, options: &Options) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let target = program.ancestors().nth(3).unwrap_or(&program);
        let file = target.join("bench.json");
        Ok(Self { machine, quick: options.quick, sections: Vec::new(), file })
    }

    /// Adds figures, and writes the file at once, lest a later failure lose them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, section: Section) -> anyhow::Result<()> {
        self.sections.push(section);
        std::fs::write(&self.file, format!("{:#}\n", json!(self)))?;
        Ok(())
    }

    /// Prints all as Markdown.
    #[expect(clippy::print_stdout, reason = "this is what the program is for")]
    pub fn print(&self) {
        let quick = if self.quick { "**A quick trial, not for publication.**\n" } else { "" };
        let facts =
            ["cpu", "cores", "memory", "kernel", "file_system", "engine", "load_average", "commit", "date"]
                .map(|fact| format!("- {fact}: {}", self.machine[fact].to_string().trim_matches('"')));
        println!("\n{quick}\n{}", facts.join("\n"));
        for section in &self.sections {
            println!("{}", section.text());
        }
        println!("Also in {}", self.file.display());
    }
}

/// Says what is being done.
#[expect(clippy::print_stderr, reason = "a run takes many minutes")]
pub fn say(what: &str) {
    eprintln!("==> {what}");
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
