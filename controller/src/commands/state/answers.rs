//! Which question an answer is to: a session answers orders and enquiries one by one, in order.

use roadstead_protocol::message::ids::SessionId;

use super::Effect;

/// What one session was asked about one command, and has answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    session: Option<SessionId>,
    owed: u32,
    owed_before_order: Option<u32>,
}

/// Where an answer stands to the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The session has not carried the order.
    WithoutOrder,
    /// It answers an enquiry that went out before the order: it is stale.
    BeforeOrder,
    /// It answers the order, or an enquiry behind it.
    AfterOrder,
}

impl Answers {
    /// The session took a message.
    pub fn asked(&mut self, session: SessionId, effect: Effect) {
        if self.session != Some(session) {
            *self = Self { session: Some(session), ..Self::default() };
        }
        match effect {
            Effect::Send => {
                self.owed_before_order = Some(self.owed);
                self.owed = self.owed.saturating_add(1);
            }
            Effect::Enquire => self.owed = self.owed.saturating_add(1),
            Effect::Cancel => {}
        }
    }

    /// The session brought an answer.
    pub fn answered(&mut self, session: SessionId) -> Heard {
        if self.session != Some(session) {
            return Heard::WithoutOrder;
        }
        self.owed = self.owed.saturating_sub(1);
        match self.owed_before_order {
            None => Heard::WithoutOrder,
            Some(0) => Heard::AfterOrder,
            Some(stale) => {
                self.owed_before_order = Some(stale - 1);
                Heard::BeforeOrder
            }
        }
    }
}
