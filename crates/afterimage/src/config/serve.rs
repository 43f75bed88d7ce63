//! A server's settings, checked.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use afterimage_api::{Anonymous, Limits};

use super::{BadConfig, ServeArgs, StoreConfig};

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
    pub(crate) gate: Anonymous,
}

impl ServeConfig {
    /// Refuses to show the trail to whoever reaches the server, unless that is what somebody asked for.
    pub(super) fn new(args: &ServeArgs, store: StoreConfig) -> Result<Self, BadConfig> {
        let service = &args.service;
        let listen = service.life.listen.unwrap_or(LISTEN_DEFAULT);
        let gate = match (service.anonymous, listen.ip().is_loopback()) {
            (true, _) => Anonymous::Anywhere,
            (false, true) => Anonymous::OnLoopback,
            (false, false) => {
                return Err(BadConfig::at(
                    "--listen",
                    format!(
                        "{listen} is reached from other machines, and everybody there could read the whole trail: listen on \
                         127.0.0.1, or say --anonymous where something else guards the way"
                    ),
                ));
            }
        };
        let limits = Limits {
            requests_max: service.requests_max as usize,
            exports_max: service.exports_max as usize,
            request_timeout: service.request_timeout,
            ..Limits::default()
        };
        Ok(Self { store, listen, grace: service.life.grace_period, limits, gate })
    }
}
