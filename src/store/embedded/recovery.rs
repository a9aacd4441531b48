//! What a start does before anything is served: the rounds that the journal has and the tables have not are moved.
//!
//! Invariants:
//! - After it everything that was acknowledged is in the tables, and on the disk: also where the last process could not
//!   sync it, and the system has it in memory only.
//! - A journal that does not fit the tables is never applied, and nothing of it is deleted: the start is refused.
//! - A start that fails copies no log into its file: a sync that failed may have left a hole in it, and it is what the next
//!   start has.
//!
//! Not here: what moving does (`moving`), and backups, which do the same to a copy (`backup`).

use std::{io::ErrorKind, path::Path, sync::Arc, time::Duration};

use rusqlite::Connection;

use super::{
    checkpoint::{sync_wal, wal_of, write_wal_again},
    config::SyncMode,
    journal::{self, Next},
    lookup,
    moving::{self, BATCH_ENTRIES, Fit},
    open_error::OpenError,
    record_windows::{RecordWindows, now_ms},
    round::Round,
    schema,
    sync_state::keep_log,
    transaction::{Blame, transact},
};

/// Both files, with everything in the tables.
pub(super) struct Recovered {
    /// Syncs each COMMIT.
    pub(super) tables: Connection,
    pub(super) journal: Connection,
    pub(super) windows: RecordWindows,
    /// The last round that is in the tables.
    pub(super) moved: i64,
    /// The numbers of the journal's first row and of the next.
    pub(super) rows: (i64, i64),
}

fn unfit((journal, path): (&Path, &Path), problem: String) -> OpenError {
    OpenError::JournalUnfit { journal: journal.into(), path: path.into(), problem }
}

fn damaged((journal, path): (&Path, &Path), problem: String) -> OpenError {
    OpenError::GraphDamaged { journal: journal.into(), path: path.into(), problem }
}

fn write_log_again(connection: &Connection, path: &Path) -> std::io::Result<()> {
    match write_wal_again(connection, &wal_of(path)) {
        // Where files are copied on write, what stands there already needs room too.
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            tracing::warn!(%error, "a log could not be written again: make room on the disk");
            sync_wal(path)
        }
        written => written,
    }
}

/// Opens both files, and makes what is missing.
pub(super) fn open(dir: &Path, durability: SyncMode, ttl: Duration) -> Result<Recovered, OpenError> {
    let tables = schema::open_writer(dir)?;
    let journal = journal::open(dir, SyncMode::Fsync)?;
    // Where this start fails, the next one finds both logs as they are.
    [&tables, &journal].iter().for_each(|connection| keep_log(connection, true));
    let recovered = recover(dir, (tables, journal), durability, ttl)?;
    [&recovered.tables, &recovered.journal].iter().for_each(|connection| keep_log(connection, false));
    Ok(recovered)
}

fn recover(
    dir: &Path,
    (tables, journal): (Connection, Connection),
    durability: SyncMode,
    ttl: Duration,
) -> Result<Recovered, OpenError> {
    let (path, journal_path) = (schema::path(dir), journal::path(dir));
    let failed = |error| schema::open_error(dir, &path, error);
    let journal_failed = |error| schema::open_error(dir, &journal_path, error);
    let store = schema::store_of(&tables).map_err(failed)?;
    let ends = journal::ends(&journal).map_err(journal_failed)?;
    if schema::store_of(&journal).map_err(journal_failed)? != store {
        if ends.is_some() {
            return Err(OpenError::JournalOfAnother { journal: journal_path, path });
        }
        if schema::needs_journal(&tables).map_err(failed)? {
            return Err(OpenError::JournalMissing { journal: journal_path, path });
        }
        journal::set_store(&journal, store).map_err(journal_failed)?;
    }
    let not_moved =
        |problem: String| OpenError::NotMoved { journal: journal_path.clone(), path: path.clone(), problem };
    if schema::needs_journal(&tables).map_err(failed)? {
        // Also the journal's: what follows there is found after a power cut only if nothing is missing before it.
        for (connection, path) in [(&journal, &journal_path), (&tables, &path)] {
            write_log_again(connection, path).map_err(|error| not_moved(error.to_string()))?;
        }
    }
    let mut windows = RecordWindows::new(lookup::windows_found(&tables).map_err(failed)?, ttl, now_ms());
    let mut moved = moving::moved(&tables).map_err(failed)?;
    let unfit = |problem| unfit((&journal_path, &path), problem);
    let mut recovered = 0;
    loop {
        let rounds = rounds_after(&journal, moved).map_err(journal_failed)?.map_err(unfit)?;
        let Some(last) = rounds.last() else { break };
        let window = windows.current(rounds.iter().map(|round| round.at_ms).fold(last.at_ms, i64::max));
        transact(&tables, || moving::move_rounds(&tables, &rounds, window, Fit::Compared)).map_err(
            |failure| match failure.blame() {
                Blame::Moment => not_moved(failure.why),
                Blame::File(source) => OpenError::Database { path: path.clone(), source },
                Blame::Graph => damaged((&journal_path, &path), failure.why),
                Blame::Content => unfit(failure.why),
            },
        )?;
        windows.count(rounds.iter().map(|round| round.records()).sum());
        (moved, recovered) = (last.seq, recovered + rounds.len());
    }
    // That there is a log may not be on the disk yet. Nothing is added for it: the disk may be full.
    sync_wal(&path)
        .map_err(|error| OpenError::NotWritable { dir: dir.into(), problem: error.to_string() })?;
    // From now on the tables are not everything.
    if !schema::needs_journal(&tables).map_err(failed)? {
        schema::set_needs_journal(&tables, true).map_err(failed)?;
    }
    if recovered > 0 {
        tracing::info!(
            rounds = recovered,
            "what the last process had acknowledged and not moved is in the tables"
        );
    }
    if durability == SyncMode::Interval {
        schema::set_synchronous(&journal, false).map_err(journal_failed)?;
        schema::set_synchronous(&tables, false).map_err(failed)?;
    }
    let (first, last) = ends.unwrap_or((moved + 1, moved));
    Ok(Recovered { tables, journal, windows, moved, rows: (first, last.max(moved) + 1) })
}

/// Some of the rounds after this one, as many as one transaction moves; none at the end. Why they can't be read.
pub(super) fn rounds_after(
    journal: &Connection,
    after: i64,
) -> rusqlite::Result<Result<Vec<Arc<Round>>, String>> {
    let (mut rounds, mut entries, mut last) = (Vec::new(), 0, after);
    while entries < BATCH_ENTRIES {
        match journal::next(journal, last)? {
            Next::End => break,
            Next::Damaged(problem) => return Ok(Err(problem)),
            Next::Round(round) => {
                (entries, last) = (entries + round.entries(), round.seq);
                rounds.push(Arc::new(round));
            }
        }
    }
    Ok(Ok(rounds))
}
