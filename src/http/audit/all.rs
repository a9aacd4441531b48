//! `GET /operations`: operations of all graphs (rule A1).

use axum::{extract::State, response::Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dao_projections::Version;
use sha2::{Digest, Sha256};

use super::{
    super::{
        app::App,
        extractors::{QueryParameters, ResponseFormat},
        problem::Problem,
        stream::given,
    },
    PAGE_DEFAULT, PAGE_MAX, encoded, filter,
    wire::AllListingOut,
};
use crate::read::{self, AllOperationsPlace, AllOperationsQuery, CommitFilter, FeedPlace};

/// The format of cursors that is written; others are not read.
const FORMAT: u8 = 1;
/// Bytes of the check at the end.
const CHECK_BYTES: usize = 4;
/// Bytes for each part of the feed: where commits are, and where refused operations are.
const PART_BYTES: usize = 5 * 8;

/// List the operations of all graphs, accepted and refused.
pub(in crate::http) async fn all_operations(
    State(app): State<App>,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let graphs = given(CommitFilter::default(), &query, "graphs", CommitFilter::with_graphs)?;
    let limit = query.limit(PAGE_DEFAULT, PAGE_MAX)?;
    let after = query.text("cursor").map(|text| read_cursor(text).ok_or_else(bad_cursor)).transpose()?;
    let question = AllOperationsQuery { filter: filter(&query)?, graphs, limit, after };
    let rows = app.graphs.rows().cloned().or_else(|| app.all.as_ref().map(|all| all.feed().clone()));
    let feed = rows.ok_or_else(|| Problem::not_found("this server has no feed of all graphs"))?;
    let parts = feed.feed_parts() as usize;
    if question.after.as_ref().is_some_and(|after| after.commits.len() != parts) {
        return Err(bad_cursor());
    }
    let _turn = app.long_read().await?;
    let page = read::all_operations(&app.graphs, &*feed, &question).await?;
    let next = page.next.as_ref().map(write_cursor);
    encoded(format, move || format.encode(&AllListingOut::of(&page, next))).await
}

/// base64url of the format, the parts and a check of both.
fn write_cursor(place: &AllOperationsPlace) -> String {
    let mut bytes = Vec::with_capacity(1 + PART_BYTES * place.commits.len() + CHECK_BYTES);
    bytes.push(FORMAT);
    for ((commits, below), refused) in place.commits.iter().zip(&place.refused) {
        for number in [commits.major, commits.minor, below.get(), refused.major, refused.minor] {
            bytes.extend(number.to_be_bytes());
        }
    }
    let check = check(&bytes);
    bytes.extend(check);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_cursor(text: &str) -> Option<AllOperationsPlace> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (bytes, sum) = bytes.split_last_chunk::<CHECK_BYTES>()?;
    let (format, parts) = bytes.split_first()?;
    if *format != FORMAT || *sum != check(bytes) || !parts.len().is_multiple_of(PART_BYTES) {
        return None;
    }
    let (mut commits, mut refused) = (vec![], vec![]);
    for part in parts.chunks_exact(PART_BYTES) {
        let (numbers, _) = part.as_chunks::<8>();
        let [major, minor, below, refused_major, refused_minor] = numbers else { return None };
        let place = |major: &[u8; 8], minor: &[u8; 8]| FeedPlace {
            major: u64::from_be_bytes(*major),
            minor: u64::from_be_bytes(*minor),
        };
        commits.push((place(major, minor), Version::new(u64::from_be_bytes(*below))?));
        refused.push(place(refused_major, refused_minor));
    }
    Some(AllOperationsPlace { commits, refused })
}

/// It is to notice a slip: a made-up cursor reads nothing that a real one does not.
fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::digest(bytes);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}

fn bad_cursor() -> Problem {
    Problem::bad_request("cursor: must be the nextCursor of an answer to the same question")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a1_a_cursor_of_all_graphs_is_read_back_and_a_garbled_one_is_not() {
        let place = |n: u64| FeedPlace { major: n, minor: n / 2 };
        let version = Version::new(7).expect("a version");
        let told = AllOperationsPlace {
            commits: vec![(FeedPlace::END, Version::EMPTY), (place(9), version)],
            refused: vec![place(3), FeedPlace::END],
        };
        let text = write_cursor(&told);
        assert_eq!(read_cursor(&text), Some(told));
        for at in 0..text.len() {
            let mut garbled = text.clone().into_bytes();
            garbled[at] = if garbled[at] == b'A' { b'B' } else { b'A' };
            let garbled = String::from_utf8(garbled).expect("ASCII");
            assert_eq!(read_cursor(&garbled), None, "{garbled}");
            assert_eq!(read_cursor(&text[..at]), None);
        }
    }
}
