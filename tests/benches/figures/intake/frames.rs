//! What agents send, made beforehand: only numbers and times are put in before each is sent, so that making them takes
//! next to nothing of the machine that is measured.

use anyhow::Context as _;
use roadstead_protocol::message::codec::{MAX_MESSAGE, encode};
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_controller::ToController;

use super::happened;

/// The first number: like every one after it, it takes eight bytes. So these outboxes begin with a gap.
pub const FIRST: u64 = 1 << 40;

/// A time that takes eight bytes as well.
const AT: i64 = 1 << 50;

/// Events of a host until they begin again.
const ROUND: u64 = 40;

/// The messages of one agent, one after another.
pub struct Frames {
    events: u64,
    next: u64,
    frames: Vec<Frame>,
}

struct Frame {
    bytes: Vec<u8>,
    /// Where each event's number and time are.
    places: Vec<(usize, usize)>,
}

impl Frames {
    /// Messages of `events` events.
    ///
    /// # Errors
    /// When a message cannot be encoded.
    pub fn new(agent: usize, epoch: Epoch, events: u64) -> anyhow::Result<Self> {
        let mut frames = Vec::new();
        while frames.is_empty() || !(frames.len() as u64 * events).is_multiple_of(ROUND) {
            frames.push(Frame::new(agent, epoch, FIRST + frames.len() as u64 * events, events)?);
        }
        Ok(Self { events, next: FIRST, frames })
    }

    /// The first message: what was before it is gone.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn gap(epoch: Epoch) -> anyhow::Result<Vec<u8>> {
        let (from, to) = (EventSeq(1), EventSeq(FIRST - 1));
        let what = EventKind::Gap { from, to, count: to.0, reason: "made up".to_owned() };
        let events = vec![Event { seq: to, at: UnixMicros::now(), what }];
        Ok(encode(&ToController::Events(EventBatch::plain(epoch, events)), MAX_MESSAGE)?)
    }

    /// The next message, and its last number.
    pub fn next(&mut self) -> (&[u8], u64) {
        let turn = (self.next - FIRST) / self.events;
        let frames = self.frames.len() as u64;
        let frame = &mut self.frames[usize::try_from(turn % frames).unwrap_or(0)];
        let now = UnixMicros::now().0;
        for ((number, at), seq) in frame.places.iter().zip(self.next..) {
            frame.bytes[*number..*number + 8].copy_from_slice(&seq.to_be_bytes());
            frame.bytes[*at..*at + 8].copy_from_slice(&now.to_be_bytes());
        }
        self.next += self.events;
        (&frame.bytes, self.next - 1)
    }
}

impl Frame {
    fn new(agent: usize, epoch: Epoch, first: u64, events: u64) -> anyhow::Result<Self> {
        let event = |one: u64| {
            let at = UnixMicros(AT + i64::try_from(one).unwrap_or(0));
            Event { seq: EventSeq(first + one), at, what: happened(agent, first + one) }
        };
        let batch = EventBatch::plain(epoch, (0..events).map(event).collect());
        let bytes = encode(&ToController::Events(batch), MAX_MESSAGE)?;
        let mut looked = 0;
        let mut place = |wanted: [u8; 8]| {
            looked += bytes[looked..].windows(8).position(|found| found == wanted).context("not found")?;
            anyhow::Ok(looked)
        };
        let places = (0..events).map(|one| {
            let at = AT + i64::try_from(one)?;
            anyhow::Ok((place((first + one).to_be_bytes())?, place(at.to_be_bytes())?))
        });
        let places = places.collect::<Result<_, _>>()?;
        Ok(Self { bytes, places })
    }
}
