//! Dead letters, looked at and sent back.
//!
//! SQS cannot show what a queue holds without handing it out. So whoever looks *holds* the letters for a while, and gives
//! back what is left: [`look()`] does so at its end, whatever way it ends.
//!
//! A letter goes only with proof that nothing is lost: it stands in the queue it came from ([`send_back`]), or what it
//! holds is durable in the store ([`settle()`]).

mod held;
mod letter;
mod look;
mod resend;
mod settle;

pub use letter::{Failed, Letter, NoRoom, Via};
pub use look::{Look, LookEnd, Looked, QueueFacts, look};
pub(crate) use resend::SentBack;
pub use resend::{Resend, send_back};
pub use settle::{Settled, settle};
