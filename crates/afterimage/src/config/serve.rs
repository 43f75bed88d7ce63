//! A server's settings, checked.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use afterimage_api::Limits;
use afterimage_diff::{DigestKey, RuleBlock, Rules};

use super::worker::worker_name;
use super::{BadConfig, ServeArgs, StoreConfig, WhoConfig, rules};

/// This machine only: what others may read is decided by somebody, not by a default.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080));

/// A server that can be started.
#[derive(Debug)]
pub(crate) struct ServeConfig {
    pub(crate) store: StoreConfig,
    pub(crate) listen: SocketAddr,
    pub(crate) grace: Duration,
    pub(crate) limits: Limits,
    /// Who may ask.
    pub(crate) who: WhoConfig,
    /// What is kept of access entries.
    pub(crate) rules: Rules,
    /// The name of this server in the arrival journal.
    pub(crate) writer: String,
}

impl ServeConfig {
    /// Refuses to show the trail to whoever reaches the server, unless that is what somebody asked for.
    pub(super) fn new(args: &ServeArgs, store: StoreConfig, blocks: Vec<RuleBlock>) -> Result<Self, BadConfig> {
        let service = &args.service;
        let listen = service.life.listen.unwrap_or(LISTEN_DEFAULT);
        let who = WhoConfig::new(&args.access, listen.ip().is_loopback())?.ok_or_else(|| {
            let problem = format!(
                "{listen} is reached from other machines, and everybody there could read the whole trail: name readers with \
                 --access-file or --oidc-issuer, listen on 127.0.0.1, or say --anonymous where something else guards the way"
            );
            BadConfig::at("--listen", problem)
        })?;
        // Access entries have no images, and ids of their own: the key of digests makes no difference to them.
        let rules = rules::rules(blocks, DigestKey::published())?;
        let writer = worker_name(None)?;
        let limits = Limits {
            requests_max: service.requests_max as usize,
            exports_max: service.exports_max as usize,
            request_timeout: service.request_timeout,
            ..Limits::default()
        };
        Ok(Self { store, listen, grace: service.life.grace_period, limits, who, rules, writer })
    }
}
