//! Copies of the database file: a backup of one that a server writes to, and a backup put in its place.
//!
//! A copy is one file, with everything that was acknowledged before: what stands in the journal only is added to it.
//! It is of one moment: it is made inside one read transaction, and in WAL mode neither holds up the writer
//! nor is made to begin again by it. (Meanwhile the WAL can't start again from its beginning, and grows.)
//! Invariants: a file appears under its name only when it is whole, verified and on the disk; nothing is ever
//! overwritten; `dao.lock` is not taken by a backup, and is held by a restore.
//!
//! Not here: Redis, which is copied by its own programs.

mod moment;

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process,
    sync::Arc,
    thread::sleep,
    time::Duration,
};

use dao_projections::{Hash, Head};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension,
    backup::{Backup, StepResult},
};

use self::moment::{Journal, one_moment};
use super::{
    file_permissions, journal, lookup,
    moving::{self, Fit, MoveError},
    open_error::OpenError,
    round::Round,
    schema::{self, FORMAT, VERSION_BITS, version_of},
    transaction::{Blame, Failure, transact},
};

/// Pages copied between two reports of progress: 4 MiB.
const STEP_PAGES: i32 = 1_024;
/// How often a step is tried that finds the file locked, which a reader of a WAL hardly ever does. Then
/// the copy fails.
const BUSY_TRIES_MAX: u32 = 500;
/// Pause between those.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// Commits verified between two reports of progress.
const STEP_COMMITS: u64 = 4_096;
/// Damaged graphs that are named; of more only the number is told.
const DAMAGED_NAMED_MAX: usize = 20;

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Pages of the file, and of how many.
    Copied {
        /// Pages that are there.
        pages: u64,
        /// Pages in all.
        of: u64,
    },
    /// Commits whose hashes were compared.
    Verified {
        /// So many.
        commits: u64,
    },
}

/// What a copy holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The format of the file: one that is older than this program's wants migrating.
    pub format: i64,
    /// Its size.
    pub bytes: u64,
    /// Graphs with commits.
    pub graphs: u64,
    /// Their commits.
    pub commits: u64,
    /// Graphs whose hash chain does not hold, here as in the original.
    pub damaged: u64,
    /// Some of their names, each with its first bad version.
    pub damaged_at: Vec<(String, u64)>,
}

/// Why there is no copy: one line each, that says what to do. What was begun is removed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message of each variant says what it is, its fields are in the message")]
pub enum BackupError {
    #[error("there is no {path}: check the path, or DATA_DIR")]
    Missing { path: PathBuf },
    #[error("{path} is there already, and nothing is overwritten: move it away or name another")]
    Exists { path: PathBuf },
    #[error("{path} is no database of this program")]
    NotOurs { path: PathBuf },
    #[error("{path} has format {found} and this program knows {FORMAT}: use the newer program")]
    Newer { path: PathBuf, found: i64 },
    #[error("{path} is damaged ({problem}): nothing was copied")]
    Damaged { path: PathBuf, problem: String },
    #[error("{path} stays locked, and nothing was copied: see which program has it open")]
    Locked { path: PathBuf },
    #[error("{path} can't be copied: {source}")]
    Database { path: PathBuf, source: rusqlite::Error },
    #[error("{path} can't be written: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Directory(#[from] OpenError),
}

/// Copies the store in the directory `dir`, which a server may be using, to the new file `to`. All that was
/// acknowledged before is in it. Blocks for as long as reading the file twice takes.
pub fn backup(dir: &Path, to: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Contents, BackupError> {
    copy(&schema::path(dir), Journal::Needed, to, progress)
}

/// Puts the backup `from` into the directory `dir`, which no process uses and which holds no store. It can be the
/// `dao.db` of a store that was not closed, if its `journal.db` is beside it.
pub fn restore(from: &Path, dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Contents, BackupError> {
    restore_with(Journal::Needed, from, dir, progress)
}

/// The same of a `dao.db` whose journal is lost: what was acknowledged in the last moments before may not be in it.
pub fn restore_without_journal(
    from: &Path,
    dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Contents, BackupError> {
    restore_with(Journal::GivenUp, from, dir, progress)
}

fn restore_with(
    use_of_journal: Journal,
    from: &Path,
    dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Contents, BackupError> {
    file_permissions::make_directory(dir)
        .map_err(|source| OpenError::Directory { dir: dir.into(), source })?;
    let _held = super::lock(dir)?;
    let to = schema::path(dir);
    // A WAL of another file would be taken for part of this one, and a journal of another store for its commits.
    let journal = journal::path(dir);
    for left in [to.clone(), beside(&to, "-wal"), beside(&to, "-journal"), beside(&journal, "-wal"), journal]
    {
        if left.exists() {
            return Err(BackupError::Exists { path: left });
        }
    }
    copy(from, use_of_journal, &to, progress)
}

/// Copies the file `from`, with what its journal has and it has not.
fn copy(
    from: &Path,
    journal: Journal,
    to: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Contents, BackupError> {
    if !from.is_file() {
        return Err(BackupError::Missing { path: from.into() });
    }
    if to.exists() {
        return Err(BackupError::Exists { path: to.into() });
    }
    let partial = Partial(beside(to, &format!(".{}.partial", process::id())));
    copy_pages(from, journal, &partial.0, progress)?;
    let contents = verify(&partial.0, from, progress)?;
    let failed = |source| BackupError::File { path: to.into(), source };
    File::open(&partial.0).and_then(|file| file.sync_all()).map_err(failed)?;
    if to.exists() {
        return Err(BackupError::Exists { path: to.into() });
    }
    fs::rename(&partial.0, to).map_err(failed)?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(failed)?;
    Ok(contents)
}

fn copy_pages(
    from: &Path,
    journal: Journal,
    to: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), BackupError> {
    // Who can't make the file at all hears what the system says, which is more than SQLite does.
    file_permissions::options()
        .write(true)
        .create_new(true)
        .open(to)
        .map_err(|source| BackupError::File { path: to.into(), source })?;
    let failed = |source: rusqlite::Error| BackupError::Database { path: from.into(), source };
    let (source, format, unmoved) = match one_moment(from, journal) {
        // A server that starts may just have made it.
        Err(BackupError::Directory(OpenError::JournalMissing { .. })) => one_moment(from, journal)?,
        moment => moment?,
    };
    let mut target = Connection::open(to).map_err(failed)?;
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(failed)?;
    let copying = Backup::new(&source, &mut target).map_err(failed)?;
    let mut tries = 0;
    loop {
        let step = copying.step(STEP_PAGES).map_err(failed)?;
        let at = copying.progress();
        let (of, left) = (at.pagecount.unsigned_abs().into(), u64::from(at.remaining.unsigned_abs()));
        progress(Progress::Copied { pages: u64::saturating_sub(of, left), of });
        match step {
            StepResult::Done => break,
            StepResult::More => tries = 0,
            _ if tries < BUSY_TRIES_MAX => {
                tries += 1;
                sleep(BUSY_PAUSE);
            }
            _ => {
                return Err(BackupError::Locked { path: from.into() });
            }
        }
    }
    drop(copying);
    // One file, which also opens where nothing can be written beside it.
    target.execute_batch("PRAGMA journal_mode = DELETE").map_err(failed)?;
    if format == FORMAT {
        finish(&target, &unmoved).map_err(|failure| {
            let (journal, path) = (from.with_file_name(journal::NAME), from.into());
            match failure.blame() {
                Blame::Moment => BackupError::File { path: to.into(), source: io::Error::other(failure.why) },
                Blame::File(source) => BackupError::Database { path, source },
                Blame::Graph => OpenError::GraphDamaged { journal, path, problem: failure.why }.into(),
                Blame::Content => OpenError::JournalUnfit { journal, path, problem: failure.why }.into(),
            }
        })?;
    }
    target.close().map_err(|(_, source)| failed(source))
}

/// Adds what was not moved, and makes the copy a store of its own: no journal but a new one belongs to it.
fn finish(copy: &Connection, unmoved: &[Arc<Round>]) -> Result<(), Failure> {
    transact(copy, || {
        if let Some(last) = unmoved.last() {
            // A window of their own keeps the records for as long as any setting asks for.
            let newest = lookup::windows_found(copy)?.last().copied();
            let window = newest.map_or(last.at_ms, |newest| newest.max(last.at_ms));
            moving::move_rounds(copy, unmoved, window, Fit::Compared)?;
        }
        copy.execute("UPDATE meta SET value = random() WHERE key = 'store'", [])?;
        schema::set_needs_journal(copy, false)?;
        Ok::<_, MoveError>(())
    })
}

/// The format of this file, if this program can read its histories.
fn known_format(connection: &Connection, path: &Path) -> Result<i64, BackupError> {
    match schema::format(connection) {
        Ok(Some(found)) if found > FORMAT => Err(BackupError::Newer { path: path.into(), found }),
        Ok(Some(found)) if found > 0 => Ok(found),
        Ok(_) => Err(BackupError::NotOurs { path: path.into() }),
        Err(error) => Err(unreadable(path, error)),
    }
}

fn unreadable(path: &Path, error: rusqlite::Error) -> BackupError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => BackupError::NotOurs { path: path.into() },
        _ => BackupError::Database { path: path.into(), source: error },
    }
}

/// Checks the pages, and walks every hash chain. Findings are told of `original`.
fn verify(copy: &Path, original: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Contents, BackupError> {
    let failed = |source: rusqlite::Error| BackupError::Database { path: original.into(), source };
    let connection = schema::open_reader(copy).map_err(failed)?;
    let format = known_format(&connection, original)?;
    let checked: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if checked != "ok" {
        return Err(BackupError::Damaged { path: original.into(), problem: checked });
    }
    let bytes = fs::metadata(copy).map_err(|source| BackupError::File { path: copy.into(), source })?.len();
    let chains = walk(&connection, progress).map_err(failed)?;
    Ok(Contents { format, bytes, ..chains })
}

fn walk(connection: &Connection, progress: &mut dyn FnMut(Progress)) -> rusqlite::Result<Contents> {
    let mut found = Contents::default();
    let mut statement = connection.prepare("SELECT key, hash, body FROM event ORDER BY key")?;
    let mut rows = statement.query([])?;
    let (mut graph, mut head, mut is_bad) = (None, Head::EMPTY, false);
    while let Some(row) = rows.next()? {
        let key: i64 = row.get(0)?;
        if graph != Some(key >> VERSION_BITS) {
            (graph, head, is_bad) = (Some(key >> VERSION_BITS), Head::EMPTY, false);
            found.graphs += 1;
        }
        let (version, hash) = (version_of(key), row.get_ref(1)?.as_blob()?);
        let next = head.after(row.get_ref(2)?.as_blob()?);
        let is_next = next.version == version && &next.hash.as_bytes()[..] == hash;
        if !is_next && !is_bad {
            is_bad = true;
            found.damaged += 1;
            if found.damaged_at.len() < DAMAGED_NAMED_MAX {
                found.damaged_at.push((name(connection, key)?, next.version.get()));
            }
        }
        head = Head { version, hash: Hash::from_bytes(hash).unwrap_or(next.hash) };
        found.commits += 1;
        if found.commits % STEP_COMMITS == 0 {
            progress(Progress::Verified { commits: found.commits });
        }
    }
    Ok(found)
}

fn name(connection: &Connection, key: i64) -> rusqlite::Result<String> {
    let mut find = connection.prepare_cached("SELECT name FROM graph WHERE id = ?1")?;
    let found = find.query_row([key >> VERSION_BITS], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or_else(|| format!("graph number {}", key >> VERSION_BITS)))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// A file that is being made; what is left of it goes, unless it got another name.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        for ending in ["", "-journal", "-wal", "-shm"] {
            let _renamed_or_never_made = fs::remove_file(beside(&self.0, ending));
        }
    }
}
