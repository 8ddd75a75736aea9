//! A join token that an inbound agent already holds, offered when its address is registered.

use std::str::FromStr as _;

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::message::hello::Refusal;
use roadstead_protocol::message::time::UnixMicros;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{EnrolError, Enrolment};
use crate::model::Direction;

impl Enrolment {
    /// Checks that `text` is a join token with which a dialled agent can join: made here, for inbound agents, for no
    /// instance in particular, neither expired nor used. The agent redeems it when it is dialled.
    ///
    /// # Errors
    /// Why it is not, as its agent would be told.
    pub async fn check_offered(&self, text: &str) -> Result<Result<(), Refusal>, EnrolError> {
        let Ok(offered) = JoinToken::from_str(text) else { return Ok(Err(Refusal::TokenUnknown)) };
        let tokens = self.tokens().await?;
        let Some(token) = tokens.iter().find(|token| token.id == offered.id) else {
            return Ok(Err(Refusal::TokenUnknown));
        };
        let hash: [u8; 32] = Sha256::digest(offered.secret).into();
        let known =
            offered.controller == self.terms().controller_key && bool::from(hash.ct_eq(&token.secret_hash));
        Ok(match () {
            () if !known => Err(Refusal::TokenUnknown),
            () if token.uses_left == 0 => Err(Refusal::TokenUsed),
            () if token.expires_at <= UnixMicros::now() => Err(Refusal::TokenExpired),
            () if token.direction != Direction::Inbound || token.instance.is_some() => {
                Err(Refusal::TokenMismatch)
            }
            () => Ok(()),
        })
    }
}
