//! The audit log as text for other programs: JSON lines, exact, or CSV for spreadsheets.

use jiff::Timestamp;
use serde::Serialize;

use crate::store::audit::AuditRecord;

/// What an export is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line: exact, and enough to verify the chain again.
    JsonLines,
    /// RFC 4180 with a header line. A text that a spreadsheet would take for a formula has an apostrophe before it.
    Csv,
}

/// One entry as exported.
#[derive(Serialize)]
struct Line<'a> {
    id: i64,
    at: String,
    who: &'a str,
    address: Option<&'a str>,
    what: &'a str,
    target: Option<&'a str>,
    result: &'a str,
    detail: Option<&'a str>,
    command: Option<String>,
    previous: String,
    hash: String,
}

const HEADER: &str = "id,at,who,address,what,target,result,detail,command,previous,hash\r\n";

impl Format {
    /// What stands before the first entry.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::JsonLines => "",
            Self::Csv => HEADER,
        }
    }

    /// One entry with the end of its line.
    #[must_use]
    pub fn line(self, record: &AuditRecord) -> String {
        let entry = &record.entry;
        let line = Line {
            id: record.id,
            at: Timestamp::from_microsecond(entry.at.0).unwrap_or(Timestamp::MAX).to_string(),
            who: &entry.who,
            address: entry.address.as_deref(),
            what: &entry.what,
            target: entry.target.as_deref(),
            result: &entry.result,
            detail: entry.detail.as_deref(),
            command: entry.command.map(|id| id.to_string()),
            previous: record.previous.to_string(),
            hash: record.hash.to_string(),
        };
        match self {
            // Made of plain fields, which always can be written.
            Self::JsonLines => serde_json::to_string(&line).unwrap_or_default() + "\n",
            Self::Csv => line.csv(),
        }
    }
}

impl Line<'_> {
    fn csv(&self) -> String {
        let id = self.id.to_string();
        let fields = [
            &id,
            &self.at,
            self.who,
            self.address.unwrap_or_default(),
            self.what,
            self.target.unwrap_or_default(),
            self.result,
            self.detail.unwrap_or_default(),
            self.command.as_deref().unwrap_or_default(),
            &self.previous,
            &self.hash,
        ];
        fields.map(quoted).join(",") + "\r\n"
    }
}

/// A field of a CSV line.
fn quoted(text: &str) -> String {
    // What a stranger called himself at login must not run when an administrator opens the file.
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};
    use roadstead_protocol::message::time::UnixMicros;
    use serde_json::Value;

    use super::*;
    use crate::store::audit::AuditEntry;
    use crate::store::audit::chain::AuditHash;

    fn record(who: &str, target: Option<&str>) -> AuditRecord {
        let entry = AuditEntry {
            at: UnixMicros(1_795_181_314_250_001),
            who: who.to_owned(),
            address: None,
            what: "login".to_owned(),
            target: target.map(str::to_owned),
            result: "refused".to_owned(),
            detail: None,
            command: None,
        };
        AuditRecord { id: 7, entry, previous: AuditHash::NONE, hash: AuditHash([0xff; 32]) }
    }

    /// Reads CSV as RFC 4180 has it.
    fn fields(line: &str) -> Vec<String> {
        let (mut fields, mut within, mut text) = (vec![String::new()], false, line.chars().peekable());
        while let Some(character) = text.next() {
            match character {
                '"' if within && text.peek() == Some(&'"') => {
                    text.next();
                    fields.last_mut().unwrap().push('"');
                }
                '"' => within = !within,
                ',' if !within => fields.push(String::new()),
                '\r' if !within => assert_eq!(text.by_ref().collect::<String>(), "\n"),
                other => fields.last_mut().unwrap().push(other),
            }
        }
        fields
    }

    #[test]
    fn formulas_are_disarmed() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"] {
            assert_eq!(fields(&Format::Csv.line(&record(text, None)))[2], format!("'{text}"));
        }
    }

    #[test]
    fn a_line_has_what_its_header_names() {
        let line = Format::Csv.line(&record("admin", Some("nas")));
        assert_eq!(fields(&line).len(), fields(HEADER).len());
        let json: Value =
            serde_json::from_str(&Format::JsonLines.line(&record("admin", Some("nas")))).unwrap();
        let names: Vec<_> = HEADER.trim_end().split(',').collect();
        assert!(
            names.iter().all(|name| json.get(name).is_some())
                && names.len() == json.as_object().unwrap().len()
        );
        assert_eq!(json["at"], "2026-11-20T13:28:34.250001Z");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn whatever_a_field_holds_stays_one_field(who in any::<String>(), target in any::<Option<String>>()) {
            let record = record(&who, target.as_deref());
            let line = Format::Csv.line(&record);
            let read = fields(&line);
            assert_eq!(read.len(), 11);
            assert!(read[2] == who || read[2].strip_prefix('\'') == Some(&who), "{line}");
            let text = Format::JsonLines.line(&record);
            assert_eq!(text.matches('\n').count(), 1);
            let json: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((json["who"].as_str(), json["target"].as_str()), (Some(who.as_str()), target.as_deref()));
        }
    }
}
