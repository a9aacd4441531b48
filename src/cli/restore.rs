//! `dao-api restore`: restores a backup into an empty data directory; it never replaces a store.

use std::path::PathBuf;

use clap::Args;

use super::{
    CliError,
    backup::{describe, sound, with_progress},
    print,
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
}

impl Restore {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let StoreConfig::Embedded(embedded) = config.store else {
            return Err(CliError::new(
                "the histories are in Redis: restore it with scripts/restore-redis.sh, see docs/backup.md",
            ));
        };
        let dir = embedded.dir.clone();
        let contents =
            with_progress(move |progress| backup::restore(&self.file, &embedded.dir, progress)).await?;
        print(|out| writeln!(out, "{}: {}", dir.display(), describe(&contents)))?;
        sound(&contents)
    }
}
