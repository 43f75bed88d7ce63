use super::filter::unbuilt;
use super::{EntryView, Filter, Listing, Page, Trail, TrailError};

impl Trail {
    /// Entries that fit a filter, newest first unless asked otherwise. Without a time: the last 24 hours.
    ///
    /// Reads the narrowest index of the filter and looks at no more than [`super::ROWS_EXAMINED_MAX`] of its rows: a page may
    /// be short, or empty, and yet not the last one.
    ///
    /// # Errors
    /// [`TrailError`].
    pub async fn changes(&self, _filter: &Filter, _listing: &Listing) -> Result<Page<EntryView>, TrailError> {
        unbuilt()
    }
}
