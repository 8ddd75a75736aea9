//! What a running command tells about itself, line by line: shown live, stored, replayed.

use serde::{Deserialize, Serialize};

use super::command::Strategy;
use super::ids::CommandId;
use super::time::UnixMicros;

/// One line of a command's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressLine {
    /// The command.
    pub command: CommandId,
    /// Number of the line, from 0, without holes.
    pub line: u64,
    /// When, by the agent's clock.
    pub at: UnixMicros,
    /// What.
    pub entry: Progress,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "progress", rename_all = "snake_case")]
pub enum Progress {
    /// How the command will go about it, before it changes anything.
    Plan {
        /// The strategy, for a sync.
        #[serde(default)]
        strategy: Option<Strategy>,
        /// Why this strategy.
        #[serde(default)]
        why: String,
        /// The services it will touch.
        #[serde(default)]
        services: Vec<PlannedService>,
    },
    /// A step began or ended.
    Step {
        /// Which step.
        step: Step,
        /// The service, if the step is about one.
        #[serde(default)]
        service: Option<String>,
        /// Where the step is.
        state: StepState,
        /// More, for a person to read.
        #[serde(default)]
        detail: String,
    },
    /// Bytes of one image layer. Coalesced: not every byte count the engine tells is a line.
    Layer {
        /// The service whose image it is.
        #[serde(default)]
        service: Option<String>,
        /// The image.
        image: String,
        /// The layer's short id.
        layer: String,
        /// The engine's word: `Downloading`, `Extracting`, `Pull complete`, …
        status: String,
        /// Bytes done in this status.
        #[serde(default)]
        done_bytes: u64,
        /// Bytes in all in this status; none if the engine did not say.
        #[serde(default)]
        total_bytes: Option<u64>,
    },
    /// Output of a program, or a note of the agent.
    Log {
        /// Where it came from.
        stream: LogStream,
        /// The service, if it is about one.
        #[serde(default)]
        service: Option<String>,
        /// One line of text, at most 4 KiB.
        text: String,
    },
    /// Lines were dropped because the command said too much.
    Dropped {
        /// How many.
        count: u64,
    },
    /// A line of a newer version.
    #[serde(other)]
    Unknown,
}

/// A service as the plan names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedService {
    /// The service.
    pub service: String,
    /// Its image reference.
    pub image: String,
    /// What runs now (`sha256:…` of the image).
    #[serde(default)]
    pub current: Option<String>,
}

/// The steps a command is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Pulling an image.
    Pull,
    /// Running the owner's script.
    Script,
    /// Handing over to compose.
    Compose,
    /// Creating the new container.
    Create,
    /// Stopping the old container.
    Stop,
    /// Starting the container.
    Start,
    /// Waiting until it runs and is healthy.
    Verify,
    /// Putting the old container back.
    Rollback,
    /// Removing what is no longer needed.
    Cleanup,
    /// A container action.
    Act,
    /// A step of a newer version.
    #[serde(other)]
    Unknown,
}

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Under way.
    Started,
    /// Done.
    Done,
    /// Not needed.
    Skipped,
    /// Failed; the detail says why.
    Failed,
    /// A state of a newer version.
    #[serde(other)]
    Unknown,
}

/// Where a log line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output of a program.
    Stdout,
    /// Standard error of a program.
    Stderr,
    /// The agent itself.
    Agent,
    /// A container's own log.
    Container,
    /// A stream of a newer version.
    #[serde(other)]
    Unknown,
}
