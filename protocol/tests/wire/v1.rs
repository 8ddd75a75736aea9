//! Protocol 1.0.

#[path = "v1/commands.rs"]
mod commands;
#[path = "v1/events.rs"]
mod events;
#[path = "v1/greeting.rs"]
mod greeting;
#[path = "v1/hosts.rs"]
mod hosts;

use roadstead_protocol::message::hello::{Refusal, Reply};
use roadstead_protocol::message::ids::{CommandId, Epoch, EventSeq, PeerKey};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use uuid::Uuid;

use super::table::Table;

pub const TABLE: &str = include_str!("v1.txt");

/// One named value of every variant of an enum. Does not compile while a variant is missing.
macro_rules! every {
    ($enum:ident { $($name:literal $pattern:pat => $value:expr),+ $(,)? } never sent: $unsent:pat) => {{
        let _complete = |value: &$enum| match value { $($pattern => (),)+ $unsent => () };
        vec![$(($name, $value)),+]
    }};
}
use every;

pub fn command() -> CommandId {
    CommandId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001))
}

pub fn epoch() -> Epoch {
    Epoch(Uuid::from_u128(0xffff_ffff_ffff_4fff_bfff_ffff_ffff_ffff))
}

/// A time, to the microsecond.
pub const AT: UnixMicros = UnixMicros(1_790_000_000_123_456);

pub fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn every_message_is_written_and_read_as_frozen() {
    let mut table = Table::read(TABLE);
    greeting::check(&mut table);
    for (name, reply) in replies() {
        table.check(&name, &reply);
    }
    for (name, message) in to_agent() {
        table.check(&format!("to_agent/{name}"), &message);
    }
    for (name, message) in to_controller() {
        table.check(&format!("to_controller/{name}"), &message);
    }
    table.finish("v1.txt");
}

/// Every answer to Hello.
fn replies() -> Vec<(String, Reply)> {
    let plain = every!(Reply {
        "reply/welcome" Reply::Welcome(_) => Reply::Welcome(greeting::welcome()),
        "reply/refused" Reply::Refused(_) => Reply::Refused(Refusal::NotRegistered),
    } never sent: Reply::Unknown);
    let plain = plain.into_iter().map(|(name, reply)| (name.to_owned(), reply));
    let refused = refusals()
        .into_iter()
        .map(|(name, refusal)| (format!("reply/refused/{name}"), Reply::Refused(refusal)));
    let printed = (text("reply/welcome/printed"), Reply::Welcome(greeting::printed_welcome()));
    plain.chain(refused).chain([printed]).collect()
}

fn refusals() -> Vec<(&'static str, Refusal)> {
    every!(Refusal {
        "token_unknown" Refusal::TokenUnknown => Refusal::TokenUnknown,
        "token_expired" Refusal::TokenExpired => Refusal::TokenExpired,
        "token_used" Refusal::TokenUsed => Refusal::TokenUsed,
        "token_mismatch" Refusal::TokenMismatch => Refusal::TokenMismatch,
        "not_registered" Refusal::NotRegistered => Refusal::NotRegistered,
        "removed" Refusal::Removed => Refusal::Removed,
        "replaced" Refusal::Replaced => Refusal::Replaced,
        "busy" Refusal::Busy { .. } => Refusal::Busy { retry_after_ms: 1500 },
        "cloned_identity" Refusal::ClonedIdentity => Refusal::ClonedIdentity,
        "version" Refusal::Version { .. } => Refusal::Version { controller: greeting::VERSION },
        "malformed" Refusal::Malformed { .. } => Refusal::Malformed { reason: text("missing field") },
        "internal" Refusal::Internal => Refusal::Internal,
    } never sent: Refusal::Unknown)
}

/// Every message to an agent, once for each variant of what it carries.
pub fn to_agent() -> Vec<(String, ToAgent)> {
    let plain = every!(ToAgent {
        "order" ToAgent::Order(_) => commands::order_with(commands::works().remove(0).1),
        "cancel" ToAgent::Cancel { .. } => ToAgent::Cancel { command: command() },
        "enquire" ToAgent::Enquire { .. } => ToAgent::Enquire { command: command(), next_line: u64::MAX },
        "acknowledge" ToAgent::Acknowledge { .. } => {
            ToAgent::Acknowledge { epoch: epoch(), up_to: EventSeq(u64::MAX) }
        },
        "watch" ToAgent::Watch { .. } => ToAgent::Watch { seconds: u32::MAX },
        "probe" ToAgent::Probe { .. } => ToAgent::Probe { nonce: u64::MAX },
        "rotate_key" ToAgent::RotateKey => ToAgent::RotateKey,
        "key_filed" ToAgent::KeyFiled { .. } => ToAgent::KeyFiled { key: PeerKey([0x5a; 32]) },
        "controller_keys" ToAgent::ControllerKeys { .. } => {
            ToAgent::ControllerKeys { keys: vec![PeerKey([0x5a; 32]), PeerKey([0xa5; 32])] }
        },
        "inspect" ToAgent::Inspect { .. } => {
            ToAgent::Inspect { nonce: 1, container: hosts::container_id() }
        },
    } never sent: ToAgent::Unknown);
    let plain = plain.into_iter().map(|(name, message)| (name.to_owned(), message));
    plain.chain(commands::orders()).collect()
}

/// Every message to a controller, once for each variant of what it carries.
pub fn to_controller() -> Vec<(String, ToController)> {
    let plain = every!(ToController {
        "snapshot" ToController::Snapshot(_) => hosts::snapshot(),
        "change" ToController::Change { .. } => hosts::changes().remove(0).1,
        "figures" ToController::Figures { .. } => hosts::figures(),
        "events" ToController::Events(_) => events::of_all_kinds(),
        "progress" ToController::Progress { .. } => commands::all_progress(),
        "standing" ToController::Standing { .. } => commands::standings().remove(0).1,
        "probed" ToController::Probed { .. } => hosts::probed(),
        "policy" ToController::Policy { .. } => hosts::policies().remove(0).1,
        "next_key" ToController::NextKey { .. } => ToController::NextKey { key: PeerKey([0x5a; 32]) },
        "controller_known" ToController::ControllerKnown { .. } => {
            ToController::ControllerKnown { keys: vec![PeerKey([0x5a; 32])] }
        },
        "inspected" ToController::Inspected { .. } => hosts::inspections().remove(0).1,
    } never sent: ToController::Unknown);
    let plain = plain.into_iter().map(|(name, message)| (name.to_owned(), message));
    plain
        .chain(hosts::messages())
        .chain(events::messages())
        .chain(commands::progress_messages())
        .chain(commands::standings())
        .collect()
}
