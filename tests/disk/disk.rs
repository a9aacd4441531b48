//! The simulated disk: what of a file's bytes is in the system's cache only, and what a power cut leaves of it.
//!
//! What it assumes is what POSIX leaves open, and no more: a sync that succeeded brings to the disk what was written before
//! it began, but for pages that an earlier sync had failed to bring there and that were not written again; of everything
//! else each sector of 512 bytes is as it was or as it became; a file is as long as it was or as it became; and whether a
//! file is there, or is gone, is certain only once its directory was synced.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
};

use crate::{
    recording::{Op, What},
    rng::Rng,
};

const PAGE: usize = 4_096;
const SECTOR: usize = 512;
/// In so many of a hundred writes the system brings some page to the disk by itself.
const WRITTEN_BACK: u64 = 10;

/// What had reached the disk by itself when power was cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reached {
    /// No more than had been seen to.
    Nothing,
    /// Any part of it.
    Some,
    /// All of it, but for what a failed sync had lost.
    Everything,
}

/// A file, whatever names it has.
#[derive(Clone, Default)]
struct File {
    /// What processes see.
    cache: Vec<u8>,
    /// What the disk has.
    disk: Vec<u8>,
    /// Pages that the next sync brings to the disk.
    dirty: BTreeSet<usize>,
    /// The write that each page was last written by, and the one as of which the disk has it; writes are counted.
    written: HashMap<usize, u64>,
    on_disk: HashMap<usize, u64>,
    writes: u64,
    /// Pages that the system calls clean, and that the disk may not have: a sync failed.
    lost: BTreeSet<usize>,
}

impl File {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.cache.len() < end {
            self.cache.resize(end, 0);
        }
        self.cache[at..end].copy_from_slice(bytes);
        self.writes += 1;
        for page in at / PAGE..end.div_ceil(PAGE) {
            self.dirty.insert(page);
            self.written.insert(page, self.writes);
            self.lost.remove(&page);
        }
    }

    fn truncate(&mut self, to: usize) {
        self.cache.resize(to, 0);
        let pages = to.div_ceil(PAGE);
        self.dirty.retain(|page| *page < pages);
        self.lost.retain(|page| *page < pages);
        if !to.is_multiple_of(PAGE) {
            self.writes += 1;
            self.dirty.insert(to / PAGE);
            self.written.insert(to / PAGE, self.writes);
        }
    }

    fn written(&self, page: usize) -> u64 {
        self.written.get(&page).copied().unwrap_or(0)
    }

    /// What a sync that begins now would bring to the disk.
    fn pages(&self) -> Pages {
        let page = |page: &usize| {
            let (page, written) = (*page, self.written(*page));
            SyncedPage { page, written, bytes: page_of(&self.cache, page).to_vec() }
        };
        Pages { length: self.cache.len(), pages: self.dirty.iter().map(page).collect() }
    }

    /// Another sync that began later may have ended before: nothing newer is undone.
    fn synced(&mut self, synced: Pages) {
        let length = self.disk.len().min(self.cache.len()).max(synced.length);
        self.disk.resize(length, 0);
        for SyncedPage { page, written, bytes } in synced.pages {
            if self.on_disk.get(&page).is_none_or(|on_disk| *on_disk < written) {
                let at = page * PAGE;
                self.disk[at..at + bytes.len()].copy_from_slice(&bytes);
                self.on_disk.insert(page, written);
            }
            if self.written(page) == written {
                self.dirty.remove(&page);
            }
        }
    }

    fn not_synced(&mut self, synced: &Pages) {
        for SyncedPage { page, written, .. } in &synced.pages {
            if self.written(*page) == *written && self.dirty.remove(page) {
                self.lost.insert(*page);
            }
        }
    }

    /// The system brings a page to the disk when it likes, wholly or not.
    fn write_back(&mut self, rng: &mut Rng, syncs: bool) {
        let Some(page) = self.dirty.iter().nth(rng.index(self.dirty.len().max(1))).copied() else { return };
        let end = (page * PAGE + PAGE).min(self.cache.len());
        if self.disk.len() < end {
            self.disk.resize(end, 0);
        }
        // A sync that goes on may be about to bring an older one there: then all of it is newer.
        let is_whole = syncs || rng.chance(50);
        copy_sectors(&self.cache, &mut self.disk, page, || is_whole || rng.chance(70));
        if is_whole {
            self.on_disk.insert(page, self.written(page));
        }
    }

    /// The bytes after a power cut.
    fn after_cut(&self, reached: Reached, rng: &mut Rng) -> Vec<u8> {
        let mut left = self.disk.clone();
        if reached == Reached::Nothing {
            return left;
        }
        if reached == Reached::Everything || rng.chance(50) {
            left.resize(self.cache.len(), 0);
        }
        for page in &self.dirty {
            let whole = (reached == Reached::Everything || rng.chance(40)).then_some(true);
            let whole = whole.or_else(|| rng.chance(50).then_some(false));
            copy_sectors(&self.cache, &mut left, *page, || whole.unwrap_or_else(|| rng.chance(50)));
        }
        for page in &self.lost {
            copy_sectors(&self.cache, &mut left, *page, || reached == Reached::Some && rng.chance(30));
        }
        left
    }
}

/// Some pages of a file, and its length.
struct Pages {
    length: usize,
    pages: Vec<SyncedPage>,
}

struct SyncedPage {
    page: usize,
    written: u64,
    bytes: Vec<u8>,
}

fn page_of(bytes: &[u8], page: usize) -> &[u8] {
    bytes.get(page * PAGE..).map_or(&[], |rest| &rest[..rest.len().min(PAGE)])
}

/// Copies the sectors of a page that are wanted, as far as both have them.
fn copy_sectors(from: &[u8], to: &mut [u8], page: usize, mut is_wanted: impl FnMut() -> bool) {
    let end = ((page + 1) * PAGE).min(from.len()).min(to.len());
    for at in (page * PAGE..end).step_by(SECTOR) {
        let sector = at..(at + SECTOR).min(end);
        if is_wanted() {
            to[sector.clone()].copy_from_slice(&from[sector]);
        }
    }
}

type FileId = usize;

/// One directory.
pub(crate) struct Disk {
    files: Vec<File>,
    /// What processes see.
    names: BTreeMap<String, FileId>,
    /// What the disk has.
    durable_names: BTreeMap<String, FileId>,
    /// What the syncs that go on would bring to the disk.
    syncs: HashMap<u64, (FileId, Pages)>,
    directory_syncs: HashMap<u64, BTreeMap<String, FileId>>,
    rng: Rng,
}

impl Disk {
    pub(crate) fn new(rng: Rng) -> Self {
        let (names, durable_names) = (BTreeMap::new(), BTreeMap::new());
        let (syncs, directory_syncs) = (HashMap::new(), HashMap::new());
        Self { files: Vec::new(), names, durable_names, syncs, directory_syncs, rng }
    }

    /// Does what a process did.
    pub(crate) fn play(&mut self, op: &Op) {
        if op.file == "." {
            return self.sync_directory(&op.what);
        }
        if matches!(op.what, What::Created) {
            self.files.push(File::default());
            self.names.insert(op.file.clone(), self.files.len() - 1);
            return;
        }
        // A file that is no more can be written to, by who has it open; nobody sees that.
        let Some(&id) = self.names.get(&op.file) else { return };
        let file = &mut self.files[id];
        match &op.what {
            What::Created => {}
            What::Written { at, bytes } => {
                file.write(*at, bytes);
                if self.rng.chance(WRITTEN_BACK) {
                    file.write_back(&mut self.rng, !self.syncs.is_empty());
                }
            }
            What::Truncated { to } => file.truncate(*to),
            What::Unlinked => drop(self.names.remove(&op.file)),
            What::SyncBegins { number } => drop(self.syncs.insert(*number, (id, file.pages()))),
            What::SyncEnds { number, is_ok } => {
                let Some((id, pages)) = self.syncs.remove(number) else { return };
                match is_ok {
                    true => self.files[id].synced(pages),
                    false => self.files[id].not_synced(&pages),
                }
            }
        }
    }

    fn sync_directory(&mut self, what: &What) {
        match what {
            What::SyncBegins { number } => drop(self.directory_syncs.insert(*number, self.names.clone())),
            What::SyncEnds { number, is_ok: true } => {
                self.durable_names = self.directory_syncs.remove(number).unwrap_or_default();
            }
            _ => {}
        }
    }

    /// Writes what a power cut leaves into `dir`; true if that is not what processes saw.
    pub(crate) fn cut_power(&mut self, reached: Reached, dir: &Path) -> bool {
        let rng = &mut self.rng;
        let names: BTreeSet<&String> = self.names.keys().chain(self.durable_names.keys()).collect();
        let mut is_torn = false;
        for name in names {
            let (seen, durable) = (self.names.get(name), self.durable_names.get(name));
            let is_seen = match reached {
                Reached::Nothing => false,
                Reached::Some => rng.chance(50),
                Reached::Everything => true,
            };
            let left = if is_seen { seen } else { durable };
            let bytes = left.map(|id| self.files[*id].after_cut(reached, rng));
            is_torn |= bytes.as_deref() != seen.map(|id| self.files[*id].cache.as_slice());
            if let Some(bytes) = bytes {
                fs::write(dir.join(name), bytes).unwrap();
            }
        }
        is_torn
    }
}
