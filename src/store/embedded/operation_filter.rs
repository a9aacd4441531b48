//! Which operations have surely no record: a Bloom filter for the windows of each `operation_ttl` (rule C3).
//!
//! Invariant: an operation that has a record in the tail, or in a window of the tables that is alive, is never said to have
//! none. A false "maybe" costs one look-up, and nothing else; so what was added for a round that failed may stay.
//!
//! Operations are added to the set that is open when their round is made; a set is closed after one `operation_ttl`. Which
//! windows take their records is known only when they are moved: a move puts all that it moves into the newest window,
//! which may have been opened for a later round. So a set is kept until all of it is moved, and the newest window that there
//! was then is dead.
//!
//! A key sets 4 bits of one 64-bit word (a *blocked* filter: Putze, Sanders, Singler, 2007), at 16 bits a key: about one
//! look-up in 200 is for nothing. What was written before this process started is added in the background; until that is
//! done, every operation may have a record. Not here: the records (`tail`, `judge`).

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use dao_projections::OperationId;
use rusqlite::{Connection, params};

use super::{open_error::OpenError, record_windows::LiveWindows};

/// Keys of the first chunk of a set; each further chunk takes twice as many.
const CHUNK_KEYS: usize = 1 << 20;
/// Keys of the largest chunk: 128 MiB. Further ones make it denser, and more look-ups are for nothing.
const CHUNK_KEYS_MAX: usize = 1 << 26;
/// Keys for each word: 16 bits a key.
const KEYS_PER_WORD: usize = 4;
/// Ids read at a time from the tables, so that no read holds on to the write-ahead log for long.
const BUILD_STEP: i64 = 16_384;

#[derive(Debug)]
struct Chunk {
    words: Vec<u64>,
    keys: usize,
}

impl Chunk {
    fn of(keys_max: usize) -> Self {
        Self { words: vec![0; keys_max / KEYS_PER_WORD], keys: 0 }
    }

    fn is_full(&self) -> bool {
        self.keys >= self.words.len() * KEYS_PER_WORD
    }

    /// The word of a key, and its bits in it. The upper half of the hash chooses the word.
    fn place(&self, hash: u64) -> (usize, u64) {
        let word = (u128::from(hash >> 32) * self.words.len() as u128) >> 32;
        let bits = (0..4).fold(0, |bits, n| bits | 1 << (hash >> (6 * n) & 63));
        (word as usize, bits)
    }
}

/// Some operations, which are let go of together.
#[derive(Debug, Default)]
struct Set {
    chunks: Vec<Chunk>,
    /// No record of these that is moved is in a later window than this; in milliseconds since 1970.
    last_window: i64,
    /// All of these are in the tables when this round is.
    last_round: i64,
    /// It is: no other window takes any of them.
    is_moved: bool,
}

impl Set {
    fn has(&self, hash: u64) -> bool {
        self.chunks.iter().any(|chunk| {
            let (word, bits) = chunk.place(hash);
            chunk.words[word] & bits == bits
        })
    }

    fn add(&mut self, hash: u64) {
        let last = self.chunks.last();
        if last.is_none_or(|chunk| chunk.is_full() && chunk.words.len() * KEYS_PER_WORD < CHUNK_KEYS_MAX) {
            let keys = last.map_or(CHUNK_KEYS, |chunk| chunk.words.len() * KEYS_PER_WORD * 2);
            self.chunks.push(Chunk::of(keys));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            let (word, bits) = chunk.place(hash);
            chunk.words[word] |= bits;
            chunk.keys += 1;
        }
    }
}

/// The filter, as the journal thread uses it.
#[derive(Debug)]
pub(super) struct OperationFilter {
    hasher: RandomState,
    /// Takes what is added.
    open: Set,
    opened_ms: i64,
    closed: Vec<Set>,
    ttl_ms: i64,
    windows: LiveWindows,
    /// The sets of what was there before this process; empty until all are whole.
    built: Arc<OnceLock<Vec<Set>>>,
    is_complete: bool,
    is_cancelled: Arc<AtomicBool>,
    builder: Option<JoinHandle<()>>,
}

impl OperationFilter {
    /// Starts with nothing known, and reads in the background which operations the windows in the tables have.
    pub(super) fn start(
        connection: Connection,
        windows: LiveWindows,
        ttl_ms: i64,
    ) -> Result<Self, OpenError> {
        let hasher = RandomState::new();
        let (built, is_cancelled) = (Arc::new(OnceLock::new()), Arc::new(AtomicBool::new(false)));
        let found = windows.get();
        let task = {
            let (built, is_cancelled, hasher) =
                (Arc::clone(&built), Arc::clone(&is_cancelled), hasher.clone());
            move || match build(&connection, (&found, ttl_ms), &hasher, &is_cancelled) {
                Ok(Some(sets)) => drop(built.set(sets)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the operations in the tables could not be listed: each new one is looked up");
                }
            }
        };
        let builder =
            thread::Builder::new().name("dao-filter".into()).spawn(task).map_err(OpenError::Thread)?;
        Ok(Self {
            hasher,
            open: Set::default(),
            opened_ms: i64::MIN,
            closed: Vec::new(),
            ttl_ms,
            windows,
            built,
            is_complete: false,
            is_cancelled,
            builder: Some(builder),
        })
    }

    /// Whether the operation may have a record, in any graph.
    pub(super) fn may_have(&self, id: OperationId) -> bool {
        if !self.is_complete {
            return true;
        }
        let hash = self.hasher.hash_one(id.as_bytes());
        self.open.has(hash) || self.closed.iter().any(|set| set.has(hash))
    }

    /// Before the operations of a round at this time: opens the next set, and lets go of those whose windows are dead.
    /// `ends` are the last round that is durable, and the last that is in the tables.
    pub(super) fn turn(&mut self, now_ms: i64, ends: (i64, i64)) {
        let (last, moved) = ends;
        if !self.is_complete
            && let Some(sets) = Arc::get_mut(&mut self.built).and_then(OnceLock::take)
        {
            self.closed.extend(sets);
            self.is_complete = true;
        }
        if self.open.chunks.is_empty() {
            self.opened_ms = now_ms;
        } else if now_ms.saturating_sub(self.opened_ms) >= self.ttl_ms {
            self.opened_ms = now_ms;
            let next = Set { last_window: self.open.last_window, ..Set::default() };
            self.closed.push(Set { last_round: last, ..std::mem::replace(&mut self.open, next) });
        }
        // After `moved` was read: the windows of what is moved are among these.
        let windows = self.windows.get();
        // Where the clock was set back, the newest window takes them, and has a later name.
        let newest = windows.last().copied().unwrap_or(now_ms).max(now_ms);
        self.open.last_window = self.open.last_window.max(newest);
        for set in self.closed.iter_mut().filter(|set| !set.is_moved) {
            set.last_window = set.last_window.max(windows.last().copied().unwrap_or(i64::MIN));
            set.is_moved = set.last_round <= moved;
        }
        let oldest = windows.first().copied().unwrap_or(i64::MAX);
        self.closed.retain(|set| !set.is_moved || set.last_window >= oldest);
    }

    pub(super) fn add(&mut self, id: OperationId) {
        self.open.add(self.hasher.hash_one(id.as_bytes()));
    }
}

impl Drop for OperationFilter {
    fn drop(&mut self) {
        self.is_cancelled.store(true, Ordering::Release);
        if self.builder.take().is_some_and(|builder| builder.join().is_err()) {
            tracing::error!("the thread that lists operations had panicked");
        }
    }
}

/// A set for the windows that were opened within one `operation_ttl`, and so on; `None` if it was cancelled.
fn build(
    connection: &Connection,
    (windows, ttl_ms): (&[i64], i64),
    hasher: &RandomState,
    is_cancelled: &AtomicBool,
) -> rusqlite::Result<Option<Vec<Set>>> {
    let mut ids =
        connection.prepare("SELECT id FROM operation WHERE window = ?1 AND id > ?2 ORDER BY id LIMIT ?3")?;
    let (mut sets, mut opened) = (Vec::new(), 0);
    for window in windows {
        if sets.is_empty() || window.saturating_sub(opened) >= ttl_ms {
            sets.push(Set { is_moved: true, ..Set::default() });
            opened = *window;
        }
        let Some(set) = sets.last_mut() else { continue };
        set.last_window = *window;
        let mut last: Vec<u8> = Vec::new();
        loop {
            let mut rows = ids.query(params![window, last, BUILD_STEP])?;
            let mut found = 0;
            while let Some(row) = rows.next()? {
                let id: [u8; 16] = row.get(0)?;
                set.add(hasher.hash_one(id));
                last = id.to_vec();
                found += 1;
            }
            if is_cancelled.load(Ordering::Acquire) {
                return Ok(None);
            }
            if found < BUILD_STEP {
                break;
            }
        }
    }
    Ok(Some(sets))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{super::record_windows::RecordWindows, *};

    fn id(n: u128) -> OperationId {
        OperationId::from(uuid::Uuid::from_u128(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
    }

    /// Over a table with these (window, operation), once it is listed.
    fn filter(rows: &[(i64, u128)], windows: &RecordWindows) -> OperationFilter {
        let tables = Connection::open_in_memory().expect("a connection");
        tables
            .execute_batch("CREATE TABLE operation (window, id, PRIMARY KEY (window, id)) WITHOUT ROWID")
            .expect("made");
        for (window, n) in rows {
            tables
                .execute("INSERT INTO operation VALUES (?1, ?2)", params![window, id(*n).as_bytes()])
                .expect("added");
        }
        let mut filter = OperationFilter::start(tables, windows.published(), 100).expect("it starts");
        assert!(filter.may_have(id(u128::MAX)), "before it is listed every operation may have a record");
        let began = Instant::now();
        while !filter.is_complete && began.elapsed() < Duration::from_secs(60) {
            filter.turn(1_000, (0, 0));
            thread::yield_now();
        }
        filter
    }

    #[test]
    fn c3_what_was_added_is_found_and_little_else() {
        let windows = RecordWindows::new(vec![1_000], Duration::from_millis(100), 0);
        let rows: Vec<_> = (0..40_000).map(|n| (1_000, n)).collect();
        let mut filter = filter(&rows, &windows);
        (40_000..60_000).for_each(|n| filter.add(id(n)));
        assert!((0..60_000).all(|n| filter.may_have(id(n))));
        let false_hits = (60_000..160_000).filter(|n| filter.may_have(id(*n))).count();
        assert!(false_hits < 1_000, "{false_hits} of 100,000");
    }

    #[test]
    fn c3_windows_of_the_same_time_share_a_set_for_as_long_as_the_last_of_them_lives() {
        let mut windows = RecordWindows::new(vec![1_000, 1_050, 1_099, 1_100], Duration::from_millis(100), 0);
        let mut filter = filter(&[(1_000, 1), (1_050, 2), (1_099, 3), (1_100, 4)], &windows);
        assert_eq!(filter.closed.len(), 2);
        assert!((1..=4).all(|n| filter.may_have(id(n))));
        assert!(windows.retire(1_199));
        filter.turn(1_199, (0, 0));
        assert!((1..=4).all(|n| filter.may_have(id(n))), "the window of 1,099 lives");
        assert!(windows.retire(1_200));
        filter.turn(1_200, (0, 0));
        assert!(!filter.may_have(id(3)) && filter.may_have(id(4)));
    }

    #[test]
    fn c3_a_full_chunk_is_followed_by_one_of_twice_the_size() {
        let mut set = Set::default();
        let hasher = RandomState::new();
        (0..CHUNK_KEYS as u64 + 10).for_each(|n| set.add(hasher.hash_one(n)));
        let sizes: Vec<_> = set.chunks.iter().map(|chunk| chunk.words.len() * KEYS_PER_WORD).collect();
        assert_eq!(sizes, [CHUNK_KEYS, 2 * CHUNK_KEYS]);
        assert!((0..CHUNK_KEYS as u64 + 10).all(|n| set.has(hasher.hash_one(n))));
    }

    #[test]
    fn c3_operations_are_let_go_of_with_their_window_and_not_before() {
        let mut windows = RecordWindows::new(vec![1_000], Duration::from_millis(100), 0);
        let mut filter = filter(&[(1_000, 1)], &windows);
        filter.turn(1_050, (0, 0));
        filter.add(id(2));
        windows.current(1_150);
        filter.turn(1_160, (0, 0));
        filter.add(id(3));
        assert!([1, 2, 3].iter().all(|n| filter.may_have(id(*n))));
        assert!(windows.retire(1_250));
        filter.turn(1_250, (0, 0));
        assert!(!filter.may_have(id(1)) && filter.may_have(id(3)));
    }

    #[test]
    fn c3_what_is_moved_with_a_later_round_is_found_for_as_long_as_its_window_lives() {
        let mut windows = RecordWindows::new(vec![], Duration::from_millis(100), 0);
        let mut filter = filter(&[], &windows);
        filter.turn(1_000, (0, 0));
        filter.add(id(1)); // in round 1
        filter.turn(1_250, (1, 0)); // round 2
        filter.turn(5_000, (2, 0)); // round 3
        // All three are moved together: into a window that is opened at the time of the last one.
        windows.current(5_000);
        filter.turn(5_050, (3, 3));
        assert!(filter.may_have(id(1)));
        windows.current(5_100);
        filter.turn(5_150, (3, 3));
        assert!(filter.may_have(id(1)), "its window is alive, though another is open");
        assert!(windows.retire(5_200));
        filter.turn(5_200, (3, 3));
        assert!(!filter.may_have(id(1)));
    }

    #[test]
    fn c3_where_the_clock_steps_forward_what_is_not_moved_yet_is_still_found() {
        let mut windows = RecordWindows::new(vec![], Duration::from_millis(100), 0);
        let mut filter = filter(&[], &windows);
        filter.turn(1_000, (0, 0));
        filter.add(id(1)); // in round 1
        filter.turn(1_250, (1, 0));
        filter.add(id(2)); // in round 2
        filter.turn(5_000, (2, 0));
        assert!([1, 2].iter().all(|n| filter.may_have(id(*n))));
        // Round 1 is moved, and has a window then.
        windows.current(1_000);
        filter.turn(5_001, (2, 1));
        assert!([1, 2].iter().all(|n| filter.may_have(id(*n))));
        windows.current(1_250);
        assert!(windows.retire(5_002));
        filter.turn(5_003, (2, 2));
        assert!([1, 2].iter().all(|n| !filter.may_have(id(*n))));
    }
}
