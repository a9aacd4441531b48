//! The files of the embedded store as a crash leaves them.

use std::{fs, path::Path};

use tempfile::TempDir;

/// The journal first: what is not in it any more is in the tables then.
pub(crate) const FILES: [&str; 4] = ["journal.db", "journal.db-wal", "dao.db-wal", "dao.db"];

/// The bytes of both files and their logs at one moment.
#[derive(Clone)]
pub(crate) struct Image(Vec<(&'static str, Vec<u8>)>);

impl Image {
    pub(crate) fn of(dir: &Path) -> Self {
        Self(FILES.map(|name| (name, fs::read(dir.join(name)).unwrap_or_default())).into())
    }

    pub(crate) fn bytes(&self, name: &str) -> &[u8] {
        self.0.iter().find(|(found, _)| *found == name).map_or(&[], |(_, bytes)| bytes)
    }

    /// A directory with these files.
    pub(crate) fn write(&self) -> TempDir {
        self.cut(usize::MAX, usize::MAX)
    }

    /// The same with logs that end sooner.
    pub(crate) fn cut(&self, journal: usize, tables: usize) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in &self.0 {
            let end = match *name {
                "journal.db-wal" => journal,
                "dao.db-wal" => tables,
                _ => bytes.len(),
            };
            fs::write(dir.path().join(name), &bytes[..end.min(bytes.len())]).unwrap();
        }
        dir
    }
}

/// Rounds in the journal that are not in the tables. Looks at a copy: who opens the files last may tidy them up.
pub(crate) fn unmoved(dir: &Path) -> i64 {
    let copy = Image::of(dir).write();
    let tables = rusqlite::Connection::open(copy.path().join("dao.db")).unwrap();
    tables.execute("ATTACH ?1 AS journal", [copy.path().join("journal.db").to_str().unwrap()]).unwrap();
    let unmoved =
        "SELECT count(*) FROM journal.round WHERE seq > (SELECT value FROM main.meta WHERE key = 'moved')";
    tables.query_row(unmoved, [], |row| row.get(0)).unwrap()
}
