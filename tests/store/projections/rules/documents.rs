//! Documents, which change only from what the writer saw.

use bytes::Bytes;
use dao_api::store::ProjectionStore;

use crate::places::Place;

pub(in crate::projections) async fn documents_change_only_from_what_the_writer_saw(place: impl Place) {
    let (store, other) = (place.store(), place.other_store());
    assert_eq!(store.document("k", "n").await.unwrap(), None);
    let body = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
    assert!(!store.put_document("k", "n", Some(1), body("early")).await.unwrap());
    assert!(store.put_document("k", "n", None, body("\0 any bytes \u{ff}")).await.unwrap());
    assert!(!other.put_document("k", "n", None, body("second")).await.unwrap());
    let (first, found) = other.document("k", "n").await.unwrap().unwrap();
    assert_eq!(Some(found), body("\0 any bytes \u{ff}"));
    assert!(other.put_document("k", "n", Some(first), body("")).await.unwrap());
    assert!(!store.put_document("k", "n", Some(first), body("stale")).await.unwrap());
    assert!(!store.put_document("k", "n", Some(first), None).await.unwrap());
    let (second, found) = store.document("k", "n").await.unwrap().unwrap();
    assert!(second > first && found.is_empty());
    assert_eq!(store.document("other", "n").await.unwrap(), None);
    assert!(store.put_document("k", "n", Some(second), None).await.unwrap());
    assert_eq!(other.document("k", "n").await.unwrap(), None);
}

pub(in crate::projections) async fn documents_of_a_kind_are_listed_by_name(place: impl Place) {
    let store = place.store();
    assert_eq!(store.documents("k").await.unwrap(), Vec::<String>::new());
    // Words that the Redis protocol knows, as many as make its messages.
    for name in ["subscribe", "message", "pmessage"] {
        assert!(store.put_document("k", name, None, Some(Bytes::new())).await.unwrap());
    }
    assert!(store.put_document("other", "z", None, Some(Bytes::new())).await.unwrap());
    assert_eq!(place.other_store().documents("k").await.unwrap(), ["message", "pmessage", "subscribe"]);
    let (version, _) = store.document("k", "message").await.unwrap().unwrap();
    assert!(store.put_document("k", "message", Some(version), None).await.unwrap());
    assert_eq!(store.documents("k").await.unwrap(), ["pmessage", "subscribe"]);
}

pub(in crate::projections) async fn a_change_of_a_document_is_never_taken_for_another(place: impl Place) {
    let store = place.store();
    assert!(store.put_document("k", "n", None, Some(Bytes::new())).await.unwrap());
    let (of_the_first, _) = store.document("k", "n").await.unwrap().unwrap();
    assert!(store.put_document("k", "n", Some(of_the_first), None).await.unwrap());
    assert!(store.put_document("k", "n", None, Some(Bytes::new())).await.unwrap());
    assert!(!store.put_document("k", "n", Some(of_the_first), None).await.unwrap());
}

pub(in crate::projections) async fn writers_that_race_change_a_document_one_after_the_other(
    place: impl Place,
) {
    let mut writers = Vec::new();
    for store in [place.store(), place.other_store()] {
        writers.push(tokio::spawn(async move {
            for _ in 0..20 {
                loop {
                    let found = store.document("k", "n").await.unwrap();
                    let (version, count) = match &found {
                        None => (None, 0),
                        Some((version, body)) => {
                            (Some(*version), std::str::from_utf8(body).unwrap().parse::<u32>().unwrap())
                        }
                    };
                    let next = Bytes::from((count + 1).to_string());
                    if store.put_document("k", "n", version, Some(next)).await.unwrap() {
                        break;
                    }
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(place.store().document("k", "n").await.unwrap().unwrap().1, "40");
}
