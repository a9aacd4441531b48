//! What instances tell each other about who is present: the bytes of one message.
//!
//! Invariant: bytes that are no message, or one of another form, are `None` and do no harm. Sizes are
//! bounded on both sides.

use bytes::Bytes;
use dao_projections::{ClientId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{followers::Follower, presence_slot::PresenceSlot, presence_update::Present};

/// The number of this form, its first byte.
const FORM: u8 = 1;
/// Bytes of states in one message; more clients make more messages, one large state its own.
const STATES_BYTES_MAX: usize = 256 << 10;
/// Followers in one message: each has at most half a KiB.
const FOLLOWERS_MAX: usize = 1_000;
/// Bytes of a message that is looked at.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// What one instance says.
#[derive(Debug, PartialEq)]
pub(super) enum PresenceMessage {
    /// It begins to follow the graph: who is there?
    Ask,
    /// These of its clients are there; a null state: no more.
    Shows(Vec<(Uuid, Present)>),
    /// These follow the graph there; together with those of the messages before, from the first on, they are all.
    Follow { is_first: bool, followers: Vec<(Uuid, Follower)> },
    /// It follows the graph no more: none of its clients are there.
    Gone,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    instance: Uuid,
    said: WireMessage,
}

#[derive(Serialize, Deserialize)]
enum WireMessage {
    Ask,
    Shows(Vec<WirePresence>),
    Gone,
    Follow { is_first: bool, followers: Vec<(Uuid, Follower)> },
}

#[derive(Serialize, Deserialize)]
struct WirePresence {
    connection: Uuid,
    client: ClientId,
    user: UserId,
    /// JSON text: its reader bounds how deep it is.
    state: String,
    /// Last, and left out for the default slot: messages without slots are as they always were.
    #[serde(default, skip_serializing_if = "PresenceSlot::is_default")]
    slot: PresenceSlot,
}

pub(super) fn ask(instance: Uuid) -> Bytes {
    encode(instance, WireMessage::Ask)
}

pub(super) fn gone(instance: Uuid) -> Bytes {
    encode(instance, WireMessage::Gone)
}

/// As many messages as it takes.
pub(super) fn shows(instance: Uuid, shown: Vec<(Uuid, Present)>) -> Vec<Bytes> {
    let (mut messages, mut list, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (connection, Present { client, user, slot, state }) in shown {
        let state = state.to_string();
        if bytes + state.len() > STATES_BYTES_MAX && !list.is_empty() {
            messages.push(encode(instance, WireMessage::Shows(std::mem::take(&mut list))));
            bytes = 0;
        }
        bytes += state.len();
        list.push(WirePresence { connection, client, user, state, slot });
    }
    if !list.is_empty() {
        messages.push(encode(instance, WireMessage::Shows(list)));
    }
    messages
}

/// All who follow the graph, in as many messages as it takes; one where nobody does.
pub(super) fn follow(instance: Uuid, followers: &[(Uuid, Follower)]) -> Vec<Bytes> {
    let message = |(index, followers): (usize, &[(Uuid, Follower)])| {
        encode(instance, WireMessage::Follow { is_first: index == 0, followers: followers.to_vec() })
    };
    match followers {
        [] => vec![message((0, &[]))],
        all => all.chunks(FOLLOWERS_MAX).enumerate().map(message).collect(),
    }
}

fn encode(instance: Uuid, said: WireMessage) -> Bytes {
    let mut bytes = vec![FORM];
    if let Err(error) = rmp_serde::encode::write(&mut bytes, &Envelope { instance, said }) {
        unreachable!("writing to memory can't fail: {error}");
    }
    bytes.into()
}

/// Who says what; `None` for what is no message of this form.
pub(super) fn decode(bytes: &[u8]) -> Option<(Uuid, PresenceMessage)> {
    let (&form, rest) = bytes.split_first()?;
    if form != FORM || rest.len() > MESSAGE_BYTES_MAX {
        return None;
    }
    let Envelope { instance, said } = rmp_serde::from_slice(rest).ok()?;
    let said = match said {
        WireMessage::Ask => PresenceMessage::Ask,
        WireMessage::Gone => PresenceMessage::Gone,
        WireMessage::Follow { is_first, followers } => PresenceMessage::Follow { is_first, followers },
        WireMessage::Shows(shown) => {
            PresenceMessage::Shows(shown.into_iter().map(present).collect::<Option<_>>()?)
        }
    };
    Some((instance, said))
}

fn present(WirePresence { connection, client, user, state, slot }: WirePresence) -> Option<(Uuid, Present)> {
    // As it is written here: whoever is gone says so in one way.
    let state: Value = serde_json::from_str(&state).ok()?;
    Some((connection, Present { client, user, slot, state: state.to_string().into() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn shown(n: u128, bytes: usize) -> (Uuid, Present) {
        let (client, user) = ("tab".parse().expect("a client"), "ada".parse().expect("a user"));
        let state = json!({"cursor": {"x": 1.5, "y": u64::MAX}, "pad": "x".repeat(bytes)}).to_string();
        let slot = PresenceSlot::parse(if n == 2 { "drag" } else { "" }).expect("a slot");
        (Uuid::from_u128(n), Present { client, user, slot, state: state.into() })
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        let instance = Uuid::from_u128(7);
        assert_eq!(decode(&ask(instance)), Some((instance, PresenceMessage::Ask)));
        assert_eq!(decode(&gone(instance)), Some((instance, PresenceMessage::Gone)));
        assert_eq!(shows(instance, vec![]).len(), 0);
        let all = vec![shown(1, 10), shown(2, STATES_BYTES_MAX), shown(3, 10), shown(4, 10)];
        let messages = shows(instance, all.clone());
        assert_eq!(messages.len(), 3, "a large one goes alone");
        let heard = messages.iter().flat_map(|message| match decode(message) {
            Some((from, PresenceMessage::Shows(shown))) if from == instance => shown,
            other => panic!("{other:?}"),
        });
        assert_eq!(heard.collect::<Vec<_>>(), all);
    }

    #[test]
    fn l14_followers_are_told_in_messages_of_which_the_first_says_so() {
        let instance = Uuid::from_u128(7);
        let (client, user) = ("tab".parse().expect("a client"), "ada".parse().expect("a user"));
        let follower = Follower { client, user, since: dao_projections::Timestamp(3) };
        for count in [0, 1, FOLLOWERS_MAX, FOLLOWERS_MAX + 1] {
            let all: Vec<_> = (0..count).map(|n| (Uuid::from_u128(n as u128), follower.clone())).collect();
            let heard = follow(instance, &all);
            let heard = heard.iter().enumerate().flat_map(|(index, message)| match decode(message) {
                Some((from, PresenceMessage::Follow { is_first, followers })) => {
                    assert_eq!((from, is_first), (instance, index == 0));
                    followers
                }
                other => panic!("{other:?}"),
            });
            assert_eq!(heard.collect::<Vec<_>>(), all);
        }
    }

    #[test]
    fn deep_states_and_other_forms_are_no_messages() {
        let instance = Uuid::from_u128(7);
        let state = "[".repeat(100_000);
        let (client, user) = ("tab".parse().expect("a client"), "ada".parse().expect("a user"));
        let slot = PresenceSlot::default();
        let deep = WirePresence { connection: instance, client, user, state, slot };
        assert_eq!(decode(&encode(instance, WireMessage::Shows(vec![deep]))), None);
        let mut other = ask(instance).to_vec();
        other[0] = FORM + 1;
        assert_eq!(decode(&other), None);
        assert_eq!(decode(b""), None);
    }

    proptest! {
        #[test]
        fn garbled_messages_do_no_harm(at in 0_usize..400, byte: u8, cut in 0_usize..400, noise: Vec<u8>) {
            let mut message = shows(Uuid::from_u128(7), vec![shown(1, 10), shown(2, 100)])[0].to_vec();
            let at = at % message.len();
            message[at] = byte;
            message.truncate(cut.max(1));
            let _either = decode(&message);
            let _either = decode(&[&[FORM], noise.as_slice()].concat());
        }
    }
}
