//! The scripts that write for the read side.

use fred::{error::Error, prelude::Client, types::scripts::Script};

/// The scripts of the read side.
pub(super) struct ReadSideScripts {
    pub(super) change_rows: Script,
    pub(super) lease: Script,
    pub(super) trim_feed: Script,
    pub(super) put_document: Script,
    pub(super) list_graphs: Script,
    pub(super) due_for_purge: Script,
    pub(super) purge: Script,
    pub(super) drop_rows: Script,
    pub(super) forget_entries: Script,
    pub(super) end_purge: Script,
}

impl ReadSideScripts {
    pub(super) fn new() -> Self {
        Self {
            change_rows: Script::from_lua(include_str!("change_rows.lua")),
            lease: Script::from_lua(include_str!("lease.lua")),
            trim_feed: Script::from_lua(include_str!("trim_feed.lua")),
            put_document: Script::from_lua(include_str!("put_document.lua")),
            list_graphs: Script::from_lua(include_str!("list_graphs.lua")),
            due_for_purge: Script::from_lua(include_str!("due_for_purge.lua")),
            purge: Script::from_lua(include_str!("purge.lua")),
            drop_rows: Script::from_lua(include_str!("drop_rows.lua")),
            forget_entries: Script::from_lua(include_str!("forget_entries.lua")),
            end_purge: Script::from_lua(include_str!("end_purge.lua")),
        }
    }

    pub(super) async fn load(&self, client: &Client) -> Result<(), Error> {
        self.change_rows.load(client).await?;
        self.trim_feed.load(client).await?;
        self.put_document.load(client).await?;
        self.list_graphs.load(client).await?;
        self.due_for_purge.load(client).await?;
        self.purge.load(client).await?;
        self.drop_rows.load(client).await?;
        self.forget_entries.load(client).await?;
        self.end_purge.load(client).await?;
        self.lease.load(client).await
    }
}
