//! What is around an event on its way.

use afterimage_embedded_queue::SnsNotification;

/// How an event is wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Envelope {
    /// Not at all: raw message delivery.
    #[default]
    Bare,
    /// In an SNS notification.
    Sns,
}

impl Envelope {
    /// The body as the `n`-th message of the load with this seed carries it.
    #[must_use]
    pub fn wrap(self, body: String, seed: u64, n: u64) -> String {
        match self {
            Self::Bare => body,
            Self::Sns => notification(&body, seed, n),
        }
    }
}

fn notification(body: &str, seed: u64, n: u64) -> String {
    let message_id = format!("{:08x}-0000-4000-8000-{n:012x}", seed as u32);
    SnsNotification { message: body, message_id: &message_id, ..SnsNotification::default() }.envelope()
}
