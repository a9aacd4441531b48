//! Who may read the data directory: the user that this program runs as, and nobody else.
//!
//! What is made here is made so. What is there already keeps its rights, and a start says where they are wider: whoever
//! set them may have had a reason. SQLite gives the files beside a database the rights of the database.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Rights of directories that are made here.
const DIRECTORY: u32 = 0o700;
/// Rights of files that are made here.
const FILE: u32 = 0o600;
/// Rights of other users.
const OTHERS: u32 = 0o077;

/// Makes a directory, and those above it, where there is none.
pub(super) fn make_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY).create(dir)
}

/// For a file that may be made.
pub(super) fn options() -> OpenOptions {
    let mut options = File::options();
    options.mode(FILE);
    options
}

/// Makes an empty file where there is none; SQLite takes it for a new database.
pub(super) fn make_file(path: &Path) -> io::Result<()> {
    match options().write(true).create_new(true).open(path) {
        // Whatever the umask takes away, it adds nothing.
        Ok(file) => file.set_permissions(Permissions::from_mode(FILE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Says in the log, in one line, what others may read of the data directory.
pub(super) fn warn_where_wider(dir: &Path, files: &[PathBuf]) {
    let wider: Vec<String> = std::iter::once(dir)
        .chain(files.iter().map(PathBuf::as_path))
        .filter_map(|path| {
            let mode = path.metadata().ok()?.permissions().mode() & 0o777;
            (mode & OTHERS != 0).then(|| format!("{} ({mode:o})", path.display()))
        })
        .collect();
    if !wider.is_empty() {
        tracing::warn!(
            "other users of this machine may read or write: {}. Run `chmod -R go= {}`",
            wider.join(", "),
            dir.display()
        );
    }
}
