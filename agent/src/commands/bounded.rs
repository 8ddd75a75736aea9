//! Keeping an outcome small enough for one message and one outbox record, and free of what looks secret.

use roadstead_protocol::masking;
use roadstead_protocol::message::codec::encoded_size;
use roadstead_protocol::message::command::{OrderRefusal, Outcome, ServiceOutcome};

/// Largest encoded outcome in bytes.
pub const MAX_OUTCOME: usize = 24 * 1024;

/// Longest reason or summary in bytes.
const MAX_REASON: usize = 2 * 1024;

/// The outcome, cut in steps until it fits: long log lines, then log tails, then reasons, then services.
#[must_use]
pub fn bounded(mut outcome: Outcome) -> Outcome {
    for (line_bytes, lines, reason_bytes, services) in
        [(400, 20, MAX_REASON, 1_000), (200, 5, 500, 1_000), (0, 0, 100, 200), (0, 0, 0, 50)]
    {
        trim(&mut outcome, line_bytes, lines, reason_bytes, services);
        if encoded_size(&outcome).is_ok_and(|size| size <= MAX_OUTCOME) {
            break;
        }
    }
    outcome
}

fn trim(outcome: &mut Outcome, line_bytes: usize, lines: usize, reason_bytes: usize, most: usize) {
    let (text, services) = match outcome {
        Outcome::Succeeded { summary, services } | Outcome::Cancelled { summary, services } => {
            (summary, services)
        }
        Outcome::Failed { reason, services } => (reason, services),
        Outcome::Refused {
            refusal: OrderRefusal::Policy { rule: Some(text), .. } | OrderRefusal::Invalid { reason: text },
        } => {
            masking::replace(text);
            return cut(text, MAX_REASON);
        }
        Outcome::Refused { .. } | Outcome::Unknown => return,
    };
    masking::replace(text);
    cut(text, MAX_REASON);
    services.truncate(most);
    for ServiceOutcome { reason, log_tail, image, .. } in services {
        log_tail.drain(..log_tail.len().saturating_sub(lines));
        for line in log_tail {
            masking::replace(line);
            cut(line, line_bytes);
        }
        cut(image, 300);
        if let Some(reason) = reason {
            masking::replace(reason);
            cut(reason, reason_bytes);
        }
    }
}

fn cut(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::message::command::ServiceResult;

    use super::*;

    #[test]
    fn the_largest_outcome_fits_and_keeps_what_matters_most() {
        for (count, words) in [(1, 1_000), (3, 1_000), (40, 100), (500, 20)] {
            let service = |number| ServiceOutcome {
                service: format!("service-{number}"),
                image: "image:tag".to_owned(),
                before: Some("sha256:".to_owned() + &"a".repeat(64)),
                after: Some("sha256:".to_owned() + &"b".repeat(64)),
                result: ServiceResult::Failed,
                reason: Some("because ".repeat(words)),
                log_tail: vec!["line ".repeat(words); 20],
            };
            let services = (0..count).map(service).collect();
            let outcome = bounded(Outcome::Failed { reason: "why ".repeat(10_000), services });
            assert!(encoded_size(&outcome).unwrap() <= MAX_OUTCOME);
            let Outcome::Failed { services, .. } = outcome else { panic!("still a failure") };
            assert_eq!(services[0].log_tail.is_empty(), count > 3, "{count}");
        }
    }
}
