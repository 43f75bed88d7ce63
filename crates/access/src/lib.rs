//! Who may ask the trail, what they may see, and the entry that says they asked.
//!
//! [`Access`] turns the `Authorization` header of a request into a [`Reader`]: somebody with a name, a role and grants.
//! Known are tokens from a file ([`AccessFile`], which is read again when it changes) and JWTs of one OpenID Connect
//! issuer ([`oidc`]). Whatever is refused has a [`Refusal`], whose kind is for counters and logs; the caller is told no
//! more than that nobody is known by these credentials.
//!
//! [`AccessLog`] stores that somebody asked, as an entry of operation `access` under the source
//! [`afterimage_event::OWN_SOURCE`], and gives a [`Recorded`] for it. Only it makes one, and only when the entry is
//! durable: what needs a [`Recorded`] before it answers cannot answer unseen.

mod access;
mod file;
mod grant;
mod live;
mod log;
mod metrics;
pub mod oidc;
mod question;
mod reader;
mod refusal;
mod token;

pub use access::Access;
pub use file::{AccessFile, FILE_BYTES_MAX, FileError, GRANTS_MAX, GROUPS_MAX, NAME_BYTES_MAX, TOKENS_MAX};
pub use live::{LiveFile, OpenError, RELOAD_EVERY};
pub use log::{AccessLog, RECORD_PATIENCE, RecordError, Recorded};
pub use metrics::Metrics;
pub use question::{ALL_TABLES, PARAMETER_BYTES_MAX, PARAMETERS_BYTES_MAX, Question, Subject};
pub use reader::{Credential, ParseRoleError, Reader, Role};
pub use refusal::Refusal;
pub use token::{Token, TokenHash, TokenHashError, TokenShapeError};
