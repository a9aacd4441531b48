//! Why the store can't be opened.

use std::{io, path::PathBuf};

/// Why the store can't be opened: one line each, that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory isn't there and can't be made.
    #[error("cannot make the data directory {dir}: {source}; make it yourself or set DATA_DIR to another")]
    Directory {
        /// The data directory.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The directory or the file in it can't be written to.
    #[error(
        "cannot write to the data directory {dir}: {problem}; give this user the right or set DATA_DIR to another"
    )]
    NotWritable {
        /// The data directory.
        dir: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// Another process has the directory.
    #[error("another process is using the data directory {dir}; stop it or set DATA_DIR to another")]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// The file holds something else.
    #[error("{path} is no database of this program; move it away or set DATA_DIR to another directory")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by an earlier program.
    #[error(
        "{path} has format {found} and this program knows {known}; back it up, then run `dao-api migrate`"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format that this program knows.
        known: i64,
    },
    /// The file was written by a later program.
    #[error(
        "{path} has format {found} and this program knows {known}; run the newer program or set DATA_DIR to another directory"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// SQLite says no.
    #[error("cannot open {path}: {source}; check the disk, or restore a backup if the file is damaged")]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The journal was written beside other tables.
    #[error(
        "{journal} holds acknowledged commits of another store than {path}: put the two files of one store together, or move {journal} away if its commits are not wanted"
    )]
    JournalOfAnother {
        /// The journal's file.
        journal: PathBuf,
        /// The file of the tables.
        path: PathBuf,
    },
    /// There is no journal, or an empty one of another store, where there must be one.
    #[error(
        "{journal} is missing or empty: it may have acknowledged commits that are not in {path}, which was not closed; put it there, restore a backup, or give them up with `dao-api restore --without-journal`"
    )]
    JournalMissing {
        /// The journal's file.
        journal: PathBuf,
        /// The file of the tables.
        path: PathBuf,
    },
    /// The journal can't be moved into the tables.
    #[error(
        "the acknowledged commits in {journal} can't be moved into {path}: {problem}; put the two files of one moment together, or restore a backup"
    )]
    JournalUnfit {
        /// The journal's file.
        journal: PathBuf,
        /// The file of the tables.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// A graph that the journal has commits of is damaged in the tables.
    #[error(
        "the acknowledged commits in {journal} can't be moved into {path}: {problem}; keep a copy of both files, then restore a backup, or give the journal up with `dao-api restore --without-journal`"
    )]
    GraphDamaged {
        /// The journal's file.
        journal: PathBuf,
        /// The file of the tables.
        path: PathBuf,
        /// Which graph it is, from which version on, and what is wrong with it.
        problem: String,
    },
    /// The journal could not be moved into the tables: the disk is full or fails, or another program holds the file.
    #[error(
        "the acknowledged commits in {journal} could not be moved into {path}: {problem}; nothing is lost: free space, check the disk, or close the program that has the file open, then start again"
    )]
    NotMoved {
        /// The journal's file.
        journal: PathBuf,
        /// The file of the tables.
        path: PathBuf,
        /// What SQLite says.
        problem: String,
    },
    /// A thread can't be started.
    #[error("cannot start a thread for the store: {0}; raise this user's limit on processes")]
    Thread(io::Error),
}
