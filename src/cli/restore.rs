//! `dao-api restore`: restores a backup into an empty data directory; it never replaces a store.

use std::path::PathBuf;

use clap::Args;

use super::{
    backup::{describe, sound, with_progress},
    error::CliError,
    output::print,
};
use crate::{
    config::{Config, StoreConfig},
    store::embedded::backup,
};

#[derive(Args)]
pub(super) struct Restore {
    /// A file that `dao-api backup` created
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Restore a dao.db whose journal.db is lost: commits acknowledged in its last moments may be missing
    #[arg(long)]
    without_journal: bool,
}

impl Restore {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let StoreConfig::Embedded(embedded) = config.store else {
            return Err(CliError::new(
                "the histories are in Redis: restore it with scripts/restore-redis.sh, see docs/backup.md",
            ));
        };
        let dir = embedded.dir.clone();
        let contents = with_progress(move |progress| match self.without_journal {
            true => backup::restore_without_journal(&self.file, &embedded.dir, progress),
            false => backup::restore(&self.file, &embedded.dir, progress),
        })
        .await?;
        if self.without_journal {
            print(|out| {
                writeln!(out, "its journal was not looked at: commits that only the journal had are given up")
            })?;
        }
        print(|out| writeln!(out, "{}: {}", dir.display(), describe(&contents)))?;
        sound(&contents)
    }
}
