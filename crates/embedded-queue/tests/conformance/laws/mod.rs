//! The laws, in chapters.

pub(crate) mod batches;
pub(crate) mod dead_letters;
pub(crate) mod fifo;
pub(crate) mod handles;
pub(crate) mod messages;
pub(crate) mod polling;
pub(crate) mod queues;
pub(crate) mod sns;
pub(crate) mod visibility;
