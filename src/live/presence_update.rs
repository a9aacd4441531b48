//! What somebody shows in a graph, and how it is passed on.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use dao_projections::{ClientId, UserId};

use super::presence_slot::PresenceSlot;

/// The state of somebody who shows nothing.
const NOTHING: &str = "null";
/// Forms in which a state is sent.
pub(super) const FORMS: usize = 2;

/// What others see of one client in one slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Present {
    /// Through which client.
    pub client: ClientId,
    /// Who.
    pub user: UserId,
    /// Which of the client's presences this is.
    pub slot: PresenceSlot,
    /// What they show, as JSON; null when they are gone.
    pub state: Arc<str>,
}

impl Present {
    /// Whether they show nothing.
    pub fn is_gone(&self) -> bool {
        &*self.state == NOTHING
    }

    pub(super) fn gone(&self) -> Self {
        Self { state: NOTHING.into(), ..self.clone() }
    }
}

/// Something that was shown, and how it is sent: the same to all who see it.
#[derive(Debug)]
pub struct PresenceUpdate {
    /// What.
    pub present: Present,
    forms: [OnceLock<Bytes>; FORMS],
}

impl PresenceUpdate {
    pub(super) fn new(present: Present) -> Arc<Self> {
        Arc::new(Self { present, forms: Default::default() })
    }

    /// In one of its forms, made by whoever asks for it first; `None` if there is no such form.
    pub fn form(&self, form: usize, encode: impl FnOnce(&Present) -> Bytes) -> Option<Bytes> {
        Some(self.forms.get(form)?.get_or_init(|| encode(&self.present)).clone())
    }
}
