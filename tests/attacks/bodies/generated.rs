//! Attacks that a generator makes up: `BODIES_SEED` takes a printed seed back, `BODIES_SECONDS` is how long it runs.

use std::time::{Duration, Instant, SystemTime};

use dao_api::http::Format;

use super::{
    measured::{CPU_MAX, Outcome, allowed_kib, measured, request, rested, server},
    requests::{self, Attack, Place},
    shapes::{MATTERS, Matter, Rng},
};

/// How long the generator runs unless told otherwise.
const SECONDS: u64 = 30;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// One attack against a server of its own: what part of what it may take it took.
async fn attack(attack: &Attack, format: Format) -> (f64, String) {
    let dir = tempfile::tempdir().unwrap();
    let process = server(dir.path());
    attack.prepare(&process.client()).await;
    rested(&process).await;
    let body = attack.body.encode(format);
    let (length, allowed) = (body.len(), allowed_kib(body.len()));
    let Outcome { reply, grown_kib, took } = measured(&process, &request(attack.path, body, format)).await;
    let told = format!(
        "{:?} of {:?} as {format:?}: {length} bytes, {grown_kib} of {allowed} KiB, {took:?}, {}",
        attack.place, attack.of, reply.status
    );
    assert!(took < CPU_MAX, "{told}");
    (grown_kib as f64 / allowed as f64, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_whatever_a_body_is_made_of_it_costs_what_it_weighs() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = from_environment("BODIES_SEED").unwrap_or(now.as_secs());
    let end = Instant::now() + Duration::from_secs(from_environment("BODIES_SECONDS").unwrap_or(SECONDS));
    println!("BODIES_SEED={seed}");
    let mut rng = Rng(seed);
    let (mut worst, mut count) = ((0.0, String::new()), 0);
    while Instant::now() < end {
        let bytes = rng.of(&[100 << 10, 500 << 10, 1 << 20]);
        let format = rng.of(&[Format::Json, Format::MessagePack]);
        let found = attack(&Attack::new(bytes, &mut rng), format).await;
        assert!(found.0 <= 1.0, "BODIES_SEED={seed}, case {count}: {}", found.1);
        if found.0 > worst.0 {
            worst = found;
        }
        count += 1;
    }
    println!("BODIES_SEED={seed}, {count} cases, the worst: {:.2} of what it may take: {}", worst.0, worst.1);
    assert!(count > 0);
}

/// All places with all matters: for a look by hand, too long for the gate. `BODIES_BYTES` is how large each is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_everything_in_every_place_costs_what_it_weighs() {
    let Some(bytes) = from_environment("BODIES_BYTES") else { return };
    let bytes = usize::try_from(bytes).unwrap();
    let mut found = Vec::new();
    for place in requests::PLACES {
        let bare = [Place::BareNodes, Place::NamelessNodes].contains(&place);
        let matters: &[Matter] = if bare { &MATTERS[..1] } else { &MATTERS };
        for matter in matters {
            for format in [Format::Json, Format::MessagePack] {
                found.push(attack(&Attack::of(place, *matter, bytes, &mut Rng(7)), format).await);
            }
        }
    }
    found.sort_by(|one, other| other.0.total_cmp(&one.0));
    found.iter().take(40).for_each(|(part, told)| println!("{part:.2} {told}"));
    assert!(found.iter().all(|(part, _)| *part <= 1.0));
}
