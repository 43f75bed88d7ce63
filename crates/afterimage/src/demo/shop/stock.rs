//! The shop's own file, between runs.

use std::path::Path;

use anyhow::Context;

use super::Shop;

/// Reads the shop's file; a shop that has none is new.
pub(crate) fn load(path: &Path) -> anyhow::Result<Shop> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| {
            format!("{} is no shop of this demo: remove the folder, or name another with --path", path.display())
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Shop::default()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Writes the shop's file whole, beside the old one, then takes its place: a crash leaves one or the other.
pub(crate) fn save(shop: &Shop, path: &Path) -> anyhow::Result<()> {
    let beside = path.with_extension("json.new");
    let text = serde_json::to_string(shop)?;
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("{} cannot be written", path.display()))
}
