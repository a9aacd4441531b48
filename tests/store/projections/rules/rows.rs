//! The rows of projections, and their heads.

use bytes::Bytes;
use dao_api::store::{ProjectionStore, RowsChange, RowsHead};
use dao_projections::Head;

use super::{at, change, found, keys, one_commit};
use crate::{
    places::Place,
    support::history::{graph, grow, version},
};

pub(in crate::projections) async fn rows_of_a_graph_that_was_never_projected_are_none(place: impl Place) {
    let store = place.store();
    let (g, _) = one_commit(&*store, "g").await;
    for g in [&g, &graph("unknown")] {
        assert_eq!(store.rows(g, "p", &keys(&["a", "b"])).await.unwrap(), found(None, &[None, None]));
        assert_eq!(store.rows(g, "p", &[]).await.unwrap(), found(None, &[]));
        assert_eq!(store.all_rows(g, "p").await.unwrap(), None);
    }
}

pub(in crate::projections) async fn rows_and_their_head_change_together(place: impl Place) {
    let store = place.store();
    let (g, head) = one_commit(&*store, "g").await;
    let rows = [("a", Some("1")), ("b", Some(""))];
    assert!(store.change_rows(&g, "p", change(None, at(head), &rows)).await.unwrap());
    let other = place.other_store();
    let asked = keys(&["b", "none", "a", "a"]);
    assert_eq!(
        other.rows(&g, "p", &asked).await.unwrap(),
        found(Some(at(head)), &[Some(""), None, Some("1"), Some("1")])
    );
    let (is_at, mut all) = other.all_rows(&g, "p").await.unwrap().unwrap();
    all.sort();
    assert_eq!(is_at, at(head));
    assert_eq!(all, [("a".to_owned(), Bytes::from("1")), ("b".to_owned(), Bytes::new())]);
    // A head alone, with no row at all.
    assert!(store.change_rows(&g, "q", change(None, at(head), &[])).await.unwrap());
    assert_eq!(store.all_rows(&g, "q").await.unwrap(), Some((at(head), vec![])));
}

pub(in crate::projections) async fn rows_change_only_from_the_exact_version_hash_and_format(
    place: impl Place,
) {
    let store = place.store();
    let (g, first) = one_commit(&*store, "g").await;
    let second = grow(&*store, &g, first, [2]).await;
    let to = |value| change(Some(at(first)), at(second), &[("a", Some(value))]);
    assert!(!store.change_rows(&g, "p", to("x")).await.unwrap(), "nothing is there yet");
    assert!(store.change_rows(&g, "p", change(None, at(first), &[("a", Some("1"))])).await.unwrap());
    let wrong = [
        None,
        Some(at(second)),
        Some(at(Head { hash: second.hash, ..first })),
        Some(at(Head { version: second.version, ..first })),
        Some(RowsHead { head: first, format: 2 }),
    ];
    for from in wrong {
        let wrong = change(from, at(second), &[("a", Some("x")), ("b", Some("x"))]);
        let wrong = RowsChange { replaces: from.is_none(), ..wrong };
        assert!(!store.change_rows(&g, "p", wrong).await.unwrap(), "{from:?}");
    }
    let unchanged = found(Some(at(first)), &[Some("1"), None]);
    assert_eq!(store.rows(&g, "p", &keys(&["a", "b"])).await.unwrap(), unchanged);
    assert!(store.change_rows(&g, "p", to("2")).await.unwrap());
    assert!(!store.change_rows(&g, "p", to("2")).await.unwrap(), "delivered twice");
    let newer = RowsHead { head: second, format: 9 };
    assert!(store.change_rows(&g, "p", change(Some(at(second)), newer, &[])).await.unwrap());
    assert_eq!(store.rows(&g, "p", &keys(&["a"])).await.unwrap(), found(Some(newer), &[Some("2")]));
}

pub(in crate::projections) async fn rows_are_replaced_removed_and_kept(place: impl Place) {
    let store = place.store();
    let (g, first) = one_commit(&*store, "g").await;
    let second = grow(&*store, &g, first, [2]).await;
    let rows = [("a", Some("1")), ("b", Some("2")), ("c", Some("3"))];
    assert!(store.change_rows(&g, "p", change(None, at(first), &rows)).await.unwrap());
    let some = change(Some(at(first)), at(second), &[("a", None), ("b", Some("4")), ("never", None)]);
    assert!(store.change_rows(&g, "p", some).await.unwrap());
    let after = found(Some(at(second)), &[None, Some("4"), Some("3")]);
    assert_eq!(store.rows(&g, "p", &keys(&["a", "b", "c"])).await.unwrap(), after);
    let anew = change(Some(at(second)), at(first), &[("d", Some("5"))]);
    assert!(store.change_rows(&g, "p", RowsChange { replaces: true, ..anew }).await.unwrap());
    let rest = vec![("d".to_owned(), Bytes::from("5"))];
    assert_eq!(store.all_rows(&g, "p").await.unwrap(), Some((at(first), rest)));
    let nothing = RowsChange { replaces: true, ..change(Some(at(first)), at(first), &[]) };
    assert!(store.change_rows(&g, "p", nothing).await.unwrap());
    assert_eq!(store.all_rows(&g, "p").await.unwrap(), Some((at(first), vec![])));
}

pub(in crate::projections) async fn projections_and_graphs_have_nothing_to_do_with_each_other(
    place: impl Place,
) {
    let store = place.store();
    let ids = ["a", "ab", "a:p", "p", "message"];
    for id in ids {
        let (g, head) = one_commit(&*store, id).await;
        for projection in ["p", "pp"] {
            let value = format!("{id} {projection}");
            let own = change(None, at(head), &[("k", Some(&value))]);
            assert!(store.change_rows(&g, projection, own).await.unwrap());
        }
    }
    for id in ids {
        for projection in ["p", "pp"] {
            let (_, rows) = store.all_rows(&graph(id), projection).await.unwrap().unwrap();
            assert_eq!(rows, [("k".to_owned(), Bytes::from(format!("{id} {projection}")))]);
        }
    }
}

pub(in crate::projections) async fn thousands_of_rows_change_at_once(place: impl Place) {
    let store = place.store();
    let (g, head) = one_commit(&*store, "g").await;
    let row = |n: usize| (format!("node:{n}"), Some(Bytes::from(format!("row {n}"))));
    let many = RowsChange { rows: (0..12_000).map(row).collect(), ..change(None, at(head), &[]) };
    assert!(store.change_rows(&g, "p", many).await.unwrap());
    let names: Vec<String> = (0..12_000).map(|n| format!("node:{n}")).collect();
    let all = store.rows(&g, "p", &names).await.unwrap();
    assert_eq!(all.at, Some(at(head)));
    assert!(all.rows.iter().enumerate().all(|(n, found)| *found == row(n).1));
    let gone = (0..11_999).map(|n| (format!("node:{n}"), None)).collect();
    let fewer = RowsChange { rows: gone, ..change(Some(at(head)), at(head), &[]) };
    assert!(store.change_rows(&g, "p", fewer).await.unwrap());
    let rest = vec![("node:11999".to_owned(), Bytes::from("row 11999"))];
    assert_eq!(store.all_rows(&g, "p").await.unwrap(), Some((at(head), rest)));
}

pub(in crate::projections) async fn keys_and_rows_are_any_text_and_any_bytes(place: impl Place) {
    let store = place.store();
    let (g, head) = one_commit(&*store, "g").await;
    let names = [
        "message".to_owned(),
        "subscribe".to_owned(),
        "smessage".to_owned(),
        "node:".to_owned() + &"é".repeat(512),
        "edge:a:b:{c}".to_owned(),
        "日本 \"quoted\" 'and' \\".to_owned(),
        "0".to_owned(),
        "-1".to_owned(),
        " ".to_owned(),
    ];
    let bytes = [
        Bytes::from_static(b"message"),
        Bytes::from_static(b"subscribe"),
        Bytes::from_static(b"\0\xff\r\n$-1\r\n"),
        Bytes::from((0..=255).collect::<Vec<u8>>()),
        Bytes::from_static(b"12"),
        vec![7; 1 << 20].into(),
        Bytes::new(),
        Bytes::from_static(b"+OK"),
        Bytes::from_static(b"x"),
    ];
    let rows = names.iter().cloned().zip(bytes.iter().cloned().map(Some)).collect();
    let all = RowsChange { rows, ..change(None, at(head), &[]) };
    assert!(store.change_rows(&g, "p", all).await.unwrap());
    for (name, expected) in names.iter().zip(&bytes) {
        // One, two and three beside the head: replies of every length.
        for asked in [vec![name.clone()], vec![name.clone(), "none".into()]] {
            let rows = store.rows(&g, "p", &asked).await.unwrap();
            assert_eq!((rows.at, rows.rows[0].as_ref()), (Some(at(head)), Some(expected)), "{name}");
        }
    }
    let (_, mut found) = store.all_rows(&g, "p").await.unwrap().unwrap();
    let mut expected: Vec<_> = names.into_iter().zip(bytes).collect();
    found.sort();
    expected.sort();
    assert!(found == expected, "all rows come back as they were");
}

pub(in crate::projections) async fn writers_that_race_change_rows_one_after_the_other(place: impl Place) {
    let store = place.store();
    let (g, first) = one_commit(&*store, "g").await;
    let begin = change(None, at(first), &[("count", Some("0"))]);
    assert!(store.change_rows(&g, "p", begin).await.unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..4 {
        let (store, g) = (if n % 2 == 0 { place.store() } else { place.other_store() }, g.clone());
        writers.spawn(async move {
            let mut done = 0;
            while done < 10 {
                let found = store.rows(&g, "p", &["count".to_owned()]).await.unwrap();
                let (from, count) = (found.at.unwrap(), found.rows[0].clone().unwrap());
                let count: u64 = std::str::from_utf8(&count).unwrap().parse().unwrap();
                assert_eq!(from.head.version.get(), count + 1, "the head and the rows are of one moment");
                let next = Head { version: version(count + 2), ..from.head };
                let text = (count + 1).to_string();
                let change = change(Some(from), at(next), &[("count", Some(&text))]);
                done += u32::from(store.change_rows(&g, "p", change).await.unwrap());
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    let end = at(Head { version: version(41), ..first });
    assert_eq!(store.rows(&g, "p", &keys(&["count"])).await.unwrap(), found(Some(end), &[Some("40")]));
}

pub(in crate::projections) async fn all_rows_are_of_one_moment(place: impl Place) {
    let store = place.store();
    let (g, first) = one_commit(&*store, "g").await;
    let rows = |n: u64| (0..200).map(|i| (format!("k{i}"), Some(Bytes::from(n.to_string())))).collect();
    let whole = |from, n: u64| {
        let to = at(Head { version: version(n), ..first });
        RowsChange { from, to, replaces: n.is_multiple_of(2), rows: rows(n), listing: None }
    };
    assert!(store.change_rows(&g, "p", whole(None, 1)).await.unwrap());
    let writer = tokio::spawn({
        let (store, g) = (place.other_store(), g.clone());
        let changes: Vec<_> =
            (2..60).map(|n| whole(Some(at(Head { version: version(n - 1), ..first })), n)).collect();
        async move {
            for change in changes {
                assert!(store.change_rows(&g, "p", change).await.unwrap());
            }
        }
    });
    loop {
        let is_over = writer.is_finished();
        let (is_at, rows) = store.all_rows(&g, "p").await.unwrap().unwrap();
        let expected = is_at.head.version.to_string();
        assert!(rows.len() == 200 && rows.iter().all(|(_, row)| *row == expected), "at {expected}");
        if is_over {
            assert_eq!(expected, "59");
            break;
        }
    }
    writer.await.unwrap();
}
