//! What the cluster looks like, and what of it endangers the promise.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use afterimage_store::StoreError;
use scylla::client::session::Session;
use scylla::cluster::ClusterState;
use scylla::cluster::metadata::Strategy;
use scylla::statement::prepared::PreparedStatement;

use crate::Config;
use crate::rows::Row;

/// Addresses that an error names: one is enough to know what is wrong.
const ADDRESSES_SHOWN: usize = 3;

fn datacenters(state: &ClusterState) -> BTreeSet<String> {
    state.get_nodes_info().iter().filter_map(|node| node.datacenter.clone()).collect()
}

/// The configured data centre must exist, and must be configured where there are several: otherwise "local" would be
/// whichever node happens to be asked, and a read could miss a write.
pub(crate) fn check_datacenter(session: &Session, config: &Config) -> Result<(), StoreError> {
    let known = datacenters(&session.get_cluster_state());
    let names = known.iter().cloned().collect::<Vec<_>>().join(", ");
    let reason = match &config.datacenter {
        Some(datacenter) if !known.contains(datacenter) => {
            format!("the cluster has no data centre `{datacenter}`, only: {names}")
        }
        None if known.len() > 1 && config.consistency.is_local() => {
            format!("the cluster has several data centres: configure the local one of {names}")
        }
        _ => return Ok(()),
    };
    Err(StoreError::Misconfigured { reason })
}

/// A node must take connections under the address that it announces: requests go there, wherever it was found.
pub(crate) fn check_connected(session: &Session, config: &Config) -> Result<(), StoreError> {
    let state = session.get_cluster_state();
    let nodes = state.get_nodes_info();
    if nodes.iter().any(|node| node.is_connected()) {
        return Ok(());
    }
    let addresses: Vec<String> = nodes.iter().take(ADDRESSES_SHOWN).map(|node| node.address.to_string()).collect();
    let (found, announced) = (config.nodes.join(", "), addresses.join(", "));
    let reason = format!(
        "{found} answers, but nothing does where its nodes say they are, at {announced}: that must be reachable from here \
         (broadcast_rpc_address in cassandra.yaml), and with TLS be named by their certificates"
    );
    Err(StoreError::Unavailable { reason })
}

/// What works, but should not be relied on: one line for each.
pub(crate) fn warnings(session: &Session, config: &Config) -> Vec<String> {
    let state = session.get_cluster_state();
    let name = &config.keyspace;
    let Some(keyspace) = state.get_keyspace(name) else { return Vec::new() };
    let mut warnings = Vec::new();
    let mut one_copy = |place: &str| {
        warnings.push(format!(
            "keyspace {name} keeps one copy{place}: a node that crashes may lose entries whose messages are deleted, \
             and one that is down stops everything; use at least 3"
        ));
    };
    match &keyspace.strategy {
        Strategy::SimpleStrategy { replication_factor } => {
            if *replication_factor < 2 {
                one_copy("");
            }
            if datacenters(&state).len() > 1 {
                warnings.push(format!(
                    "keyspace {name} uses SimpleStrategy in a cluster of several data centres: copies are placed \
                     without regard to them; use NetworkTopologyStrategy"
                ));
            }
        }
        Strategy::NetworkTopologyStrategy { datacenter_repfactors } => {
            let local = config.datacenter.as_ref();
            for (datacenter, copies) in datacenter_repfactors {
                if *copies < 2 && local.is_none_or(|local| local == datacenter) {
                    one_copy(&format!(" in {datacenter}"));
                }
            }
            if let Some(missing) = local.filter(|local| !datacenter_repfactors.contains_key(*local)) {
                warnings.push(format!("keyspace {name} keeps nothing in the local data centre {missing}"));
            }
        }
        _ => {}
    }
    if !keyspace.durable_writes {
        warnings.push(format!("keyspace {name} has durable_writes = false: acknowledged entries are lost in a crash"));
    }
    warnings
}

/// Tells which rows live on the same nodes.
pub(crate) enum Replicas<'a> {
    /// All of them: every node holds everything.
    Same,
    /// To be found by token.
    ByToken { state: &'a ClusterState, keyspace: &'a str },
}

impl<'a> Replicas<'a> {
    pub(crate) fn of(state: &'a ClusterState, keyspace: &'a str) -> Self {
        let nodes = state.get_nodes_info();
        let in_datacenter =
            |datacenter: &str| nodes.iter().filter(|node| node.datacenter.as_deref() == Some(datacenter)).count();
        let same = match state.get_keyspace(keyspace).map(|keyspace| &keyspace.strategy) {
            Some(Strategy::SimpleStrategy { replication_factor }) => *replication_factor >= nodes.len(),
            Some(Strategy::NetworkTopologyStrategy { datacenter_repfactors }) => {
                datacenter_repfactors.iter().all(|(datacenter, copies)| *copies >= in_datacenter(datacenter))
            }
            _ => false,
        };
        if same { Self::Same } else { Self::ByToken { state, keyspace } }
    }

    /// A number for the set of nodes that hold this row: rows with the same number share their replicas. Rows whose
    /// replicas are unknown share theirs with nobody, so their token stands for them.
    pub(crate) fn set_of(&self, row: &Row<'_>, statement: &PreparedStatement) -> u64 {
        let Self::ByToken { state, keyspace } = self else { return 0 };
        let mut hasher = DefaultHasher::new();
        match statement.calculate_token(row) {
            Ok(Some(token)) => {
                let table = statement.get_table_name().unwrap_or_default();
                let mut hosts: Vec<_> = state
                    .get_token_endpoints(keyspace, table, token)
                    .into_iter()
                    .map(|(node, _)| node.host_id)
                    .collect();
                hosts.sort_unstable();
                if hosts.is_empty() { token.value().hash(&mut hasher) } else { hosts.hash(&mut hasher) }
            }
            _ => row.entry.identity.hash(&mut hasher),
        }
        hasher.finish()
    }
}
