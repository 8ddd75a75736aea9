//! Which controller an agent belongs to, and where to find it.

use roadstead_protocol::link::address::ControllerAddress;
use roadstead_protocol::message::ids::PeerKey;

use super::AgentError;
use crate::config::Config;
use crate::membership::Membership;

/// The token wins over the membership where they name different controllers: its owner wants to move the agent.
pub(super) fn whom_to_join(
    config: &Config,
    membership: Option<&Membership>,
) -> Result<(PeerKey, Vec<ControllerAddress>), AgentError> {
    let ours = |key| membership.is_some_and(|membership| membership.is_same(key));
    let (controller, mut addresses) = match (&config.join, membership) {
        (Some(join), _) if !ours(join.controller) => (join.controller, &join.addresses),
        (_, Some(membership)) => (membership.controller, &membership.addresses),
        (_, None) => return Err(AgentError::NoController),
    };
    // A newer token of the same controller may name newer addresses.
    if let Some(join) = &config.join
        && ours(join.controller)
        && !join.addresses.is_empty()
    {
        addresses = &join.addresses;
    }
    let addresses: Vec<ControllerAddress> = match &config.controller {
        Some(address) => vec![address.clone()],
        None => addresses.iter().filter_map(|text| text.parse().ok()).collect(),
    };
    if addresses.is_empty() && config.listen.is_none() {
        return Err(AgentError::NoAddress);
    }
    Ok((controller, addresses))
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::join_token::JoinToken;
    use roadstead_protocol::message::ids::TokenId;
    use roadstead_protocol::message::time::UnixMicros;

    use super::*;
    use crate::config::Settings;

    const OURS: PeerKey = PeerKey([1; 32]);
    const OTHER: PeerKey = PeerKey([2; 32]);
    const FORMER: PeerKey = PeerKey([3; 32]);

    fn config(join: Option<(PeerKey, &str)>, listen: bool) -> Config {
        let settings =
            Settings { listen: listen.then(|| "127.0.0.1:0".parse().unwrap()), ..Settings::default() };
        let join = join.map(|(controller, address)| JoinToken {
            addresses: Some(address.to_owned()).filter(|address| !address.is_empty()).into_iter().collect(),
            controller,
            id: TokenId::generate(),
            secret: [0; 32],
            expires_at: UnixMicros(0),
        });
        Config { join, ..settings.resolve().unwrap() }
    }

    fn member(address: &str) -> Membership {
        let addresses = Some(address.to_owned()).filter(|address| !address.is_empty()).into_iter().collect();
        Membership {
            controller: OURS,
            instance: "web-1".parse().unwrap(),
            addresses,
            earlier: None,
            former: vec![FORMER],
        }
    }

    fn join(config: &Config, membership: Option<&Membership>) -> Result<(PeerKey, Vec<String>), String> {
        let (controller, addresses) = whom_to_join(config, membership).map_err(|error| error.to_string())?;
        Ok((controller, addresses.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn a_token_of_another_controller_moves_the_agent() {
        let joined = join(&config(Some((OTHER, "wss://new:1")), false), Some(&member("wss://old:1")));
        assert_eq!(joined, Ok((OTHER, vec!["wss://new:1".to_owned()])));
    }

    #[test]
    fn a_member_needs_no_token_and_takes_newer_addresses_from_one() {
        let old = member("wss://old:1");
        assert_eq!(join(&config(None, false), Some(&old)), Ok((OURS, vec!["wss://old:1".to_owned()])));
        let newer = config(Some((OURS, "wss://new:1")), false);
        assert_eq!(join(&newer, Some(&old)), Ok((OURS, vec!["wss://new:1".to_owned()])));
        // The controller has had a new key since the token was made.
        let former = config(Some((FORMER, "wss://new:1")), false);
        assert_eq!(join(&former, Some(&old)), Ok((OURS, vec!["wss://new:1".to_owned()])));
    }

    #[test]
    fn without_a_controller_or_an_address_the_remedy_is_named() {
        let error = join(&config(None, false), None).unwrap_err();
        assert!(error.contains("ROADSTEAD_JOIN"), "{error}");
        let error = join(&config(Some((OURS, "")), false), None).unwrap_err();
        assert!(error.contains("ROADSTEAD_LISTEN"), "{error}");
        assert_eq!(join(&config(Some((OURS, "")), true), None), Ok((OURS, Vec::new())));
    }
}
