//! What a victim did to its files: made by `recorder.c`, read here.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

/// What fails in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    None,
    /// The so manieth sync of a file.
    Sync(&'static str, u64),
    /// Writes from one to before another.
    Full(u64, u64),
}

/// One thing done to a file.
pub(crate) struct Op {
    pub(crate) file: String,
    pub(crate) what: What,
}

pub(crate) enum What {
    Created,
    Written {
        at: usize,
        bytes: Vec<u8>,
    },
    Truncated {
        to: usize,
    },
    Unlinked,
    /// A sync begins, and ends later; what is written between may or may not be in it. `.` is the directory.
    SyncBegins {
        number: u64,
    },
    SyncEnds {
        number: u64,
        is_ok: bool,
    },
}

/// The file in which the victim says what it was answered.
pub(crate) const TOLD: &str = "told";

impl Op {
    /// What the victim says here.
    pub(crate) fn told(&self) -> Option<&str> {
        match &self.what {
            What::Written { bytes, .. } if self.file == TOLD => std::str::from_utf8(bytes).ok(),
            _ if self.file == TOLD => Some(""),
            _ => None,
        }
    }

    pub(crate) fn is_told(&self) -> bool {
        self.file == TOLD
    }

    pub(crate) fn is_failed_sync(&self) -> bool {
        matches!(self.what, What::SyncEnds { is_ok: false, .. })
    }

    pub(crate) fn is_sync_of(&self, file: &str) -> bool {
        self.file == file && matches!(self.what, What::SyncBegins { .. } | What::SyncEnds { .. })
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Created => write!(f, "{} created", self.file),
            What::Written { at, bytes } => write!(f, "{} written at {at}, {} bytes", self.file, bytes.len()),
            What::Truncated { to } => write!(f, "{} truncated to {to}", self.file),
            What::Unlinked => write!(f, "{} unlinked", self.file),
            What::SyncBegins { number } => write!(f, "{} sync {number} begins", self.file),
            What::SyncEnds { number, is_ok } => write!(f, "{} sync {number} ends: {is_ok}", self.file),
        }
    }
}

/// All of a run, in order.
pub(crate) struct Recording {
    pub(crate) ops: Vec<Op>,
    dir: TempDir,
}

impl Recording {
    /// Runs a victim.
    pub(crate) fn make(seed: u64, fault: Fault) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let (data, record) = (root.join("data"), root.join("record"));
        fs::create_dir(&data).unwrap();
        let mut victim = Command::new(env::current_exe().unwrap());
        victim
            .args(["--exact", "victim", "--ignored", "--nocapture", "--test-threads=1"])
            .env("LD_PRELOAD", recorder())
            .env("DISK_DIR", &data)
            .env("DISK_RECORD", &record)
            .env("DISK_SEED", seed.to_string());
        match fault {
            Fault::None => {}
            Fault::Sync(file, number) => drop(victim.env("DISK_FAIL_SYNC", format!("{file},{number}"))),
            Fault::Full(from, to) => drop(victim.env("DISK_FULL", format!("{from},{to}"))),
        }
        let output = victim.output().unwrap();
        assert!(
            output.status.success(),
            "{fault:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Self { ops: read(&fs::read(record).unwrap()), dir }
    }

    /// Keeps the record, and says where.
    pub(crate) fn keep(self) -> String {
        self.dir.keep().display().to_string()
    }
}

/// The library, compiled once.
fn recorder() -> &'static Path {
    static BUILT: OnceLock<(PathBuf, TempDir)> = OnceLock::new();
    let (library, _) = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("recorder.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/disk/recorder.c");
        let built = Command::new("cc")
            .args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .args([source, "-ldl", "-lpthread"])
            .status();
        assert!(built.is_ok_and(|status| status.success()), "cc is missing or can't compile {source}");
        (library, dir)
    });
    library
}

fn read(mut record: &[u8]) -> Vec<Op> {
    fn take<const N: usize>(record: &mut &[u8]) -> [u8; N] {
        let (taken, rest) = record.split_first_chunk().expect("a whole record");
        *record = rest;
        *taken
    }
    fn bytes(record: &mut &[u8], length: usize) -> Vec<u8> {
        let (taken, rest) = record.split_at(length);
        *record = rest;
        taken.to_vec()
    }
    let mut ops = Vec::new();
    while !record.is_empty() {
        let [kind, is_ok] = take(&mut record);
        let name_length = u16::from_le_bytes(take(&mut record)).into();
        let length = u32::from_le_bytes(take(&mut record)) as usize;
        let number = u64::from_le_bytes(take(&mut record));
        let file = String::from_utf8(bytes(&mut record, name_length)).unwrap();
        let bytes = bytes(&mut record, length);
        let what = match kind {
            b'c' => What::Created,
            b'w' => What::Written { at: number as usize, bytes },
            b't' => What::Truncated { to: number as usize },
            b'u' => What::Unlinked,
            b'b' => What::SyncBegins { number },
            b'e' => What::SyncEnds { number, is_ok: is_ok != 0 },
            other => panic!("a record of kind {other}"),
        };
        ops.push(Op { file, what });
    }
    ops
}
