//! `dao-api backup`: copies the embedded store while a server writes to it, and verifies the copy.

use std::path::PathBuf;

use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::{
    error::CliError,
    output::{counted, print},
};
use crate::{
    config::{Config, StoreConfig},
    store::embedded::backup::{self, BackupError, Contents, Progress},
};

#[derive(Args)]
pub(super) struct Backup {
    /// The file to create; an existing file is not overwritten
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let StoreConfig::Embedded(embedded) = config.store else {
            return Err(CliError::new("the histories are in Redis: back it up with scripts/backup-redis.sh"));
        };
        let file = self.file.clone();
        let contents = with_progress(move |progress| backup::backup(&embedded.dir, &file, progress)).await?;
        print(|out| writeln!(out, "{}: {}", self.file.display(), describe(&contents)))?;
        sound(&contents)
    }
}

/// Runs a blocking copy, and shows its progress.
pub(super) async fn with_progress(
    copy: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<Contents, BackupError> + Send + 'static,
) -> Result<Contents, CliError> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} pages, {eta} left  {msg}") {
        bar.set_style(style);
    }
    let shown = bar.clone();
    let copied = tokio::task::spawn_blocking(move || {
        copy(&mut |progress| match progress {
            Progress::Copied { pages, of } => {
                shown.set_length(of);
                shown.set_position(pages);
            }
            Progress::Verified { commits } => shown.set_message(format!("{commits} commits verified")),
        })
    });
    let copied = copied.await;
    bar.finish_and_clear();
    let copied = copied.map_err(|e| CliError::new(format!("the copy was interrupted: {e}; run it again")))?;
    copied.map_err(|e| CliError::new(e.to_string()))
}

pub(super) fn describe(contents: &Contents) -> String {
    let Contents { bytes, graphs, commits, damaged, .. } = contents;
    let (bytes, graphs, commits) =
        (HumanBytes(*bytes), counted(*graphs, "graph"), counted(*commits, "commit"));
    match damaged {
        0 => format!("{bytes}, {graphs}, {commits}, every hash verified"),
        _ => format!("{bytes}, {graphs}, {commits}, {} damaged", counted(*damaged, "graph")),
    }
}

/// Fails if the copied store was damaged already: a copy of damage is still a copy, but the operator has to know.
pub(super) fn sound(contents: &Contents) -> Result<(), CliError> {
    if contents.damaged == 0 {
        return Ok(());
    }
    let named: Vec<String> =
        contents.damaged_at.iter().map(|(graph, version)| format!("{graph} at version {version}")).collect();
    let more = contents.damaged.saturating_sub(named.len() as u64);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Err(CliError::new(format!(
        "the copy is complete, but the store was damaged: {}{more}; keep older backups, and run `dao-api verify`",
        named.join(", ")
    )))
}
