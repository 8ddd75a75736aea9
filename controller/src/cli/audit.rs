//! The audit log from the command line, while the controller may be running.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use roadstead_protocol::message::printable::printable;

use crate::audit::export::Format;
use crate::audit::{Anchor, Audit};

/// What can be done with the audit log.
#[derive(Subcommand)]
pub enum AuditCommand {
    /// Follow the chain of hashes from the first entry to the last, and name the first link that is broken.
    Verify {
        /// A place of the chain that was noted elsewhere (number:hash, from this program's log, the API, an export or
        /// an earlier verification): it must still be there, unchanged. May be given several times.
        #[arg(long, value_name = "PLACE")]
        noted: Vec<Anchor>,
    },
    /// Print every entry, oldest first, with the hashes of the chain.
    Export {
        /// JSON lines are exact; CSV is made safe for spreadsheets.
        #[arg(long, default_value = "jsonl")]
        format: ExportFormat,
        /// Only entries newer than this one.
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        after: i64,
    },
}

/// Forms of an export.
#[derive(Clone, Copy, ValueEnum)]
pub enum ExportFormat {
    /// JSON lines.
    Jsonl,
    /// Comma-separated values.
    Csv,
}

/// Entries read at once.
const PAGE: u32 = 1000;

impl AuditCommand {
    pub(super) async fn run(self, audit: &Audit) -> anyhow::Result<()> {
        match self {
            Self::Verify { noted } => verify(audit, noted).await,
            Self::Export { format, after } => export(audit, format, after).await,
        }
    }
}

async fn verify(audit: &Audit, noted: Vec<Anchor>) -> anyhow::Result<()> {
    let places = noted.len();
    let verified = audit.verify(noted).await?.context("the audit log cannot be trusted")?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} entries, each continues the one before it; the last is {}",
        verified.entries, verified.head
    )?;
    if verified.base.id > 0 {
        writeln!(out, "entries up to {} were removed for their age", verified.base.id)?;
    }
    if places > verified.beyond {
        writeln!(out, "{} noted places are as they were", places - verified.beyond)?;
    }
    if verified.beyond > 0 {
        writeln!(
            out,
            "{} noted places are among what was removed: nothing can be said of them",
            verified.beyond
        )?;
    }
    if places == 0 {
        writeln!(
            out,
            "This finds whoever changed, removed or put in entries, but not one who wrote the whole chain anew, or cut \
             off its end together with the note of it: who can write the database can do that. Note the last entry \
             elsewhere, and give it to --noted the next time."
        )?;
    }
    out.flush().context("cannot print")
}

async fn export(audit: &Audit, format: ExportFormat, mut after: i64) -> anyhow::Result<()> {
    let format = match format {
        ExportFormat::Jsonl => Format::JsonLines,
        ExportFormat::Csv => Format::Csv,
    };
    let terminal = std::io::stdout().is_terminal();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    write!(out, "{}", format.header())?;
    loop {
        let records = audit.after(after, PAGE).await?;
        let Some(last) = records.last() else { break };
        after = last.id;
        for record in &records {
            let line = format.line(record);
            match line.strip_suffix('\n') {
                // A file gets it as it is; a terminal must not act on what strangers call themselves.
                Some(line) if terminal => writeln!(out, "{}", printable(line))?,
                _ => write!(out, "{line}")?,
            }
        }
    }
    out.flush().context("cannot print")
}
