//! Tasks that must not end before their server does: one that dies is started again.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Pause before a task is started again, doubled each time up to the second.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Runs what `start` gives until `stop`, however often it panics or ends before; each such end is in the log.
pub(crate) async fn supervised<F>(name: &str, stop: CancellationToken, mut start: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut pause = BACK_OFF.0;
    loop {
        let began = Instant::now();
        let ended = AbortOnDropHandle::new(tokio::spawn(start())).await;
        match ended {
            Ok(()) if stop.is_cancelled() => return,
            Ok(()) => tracing::error!(task = name, "a background task ended too early and is started again"),
            Err(error) => tracing::error!(task = name, %error, "a background task died and is started again"),
        }
        // One that ran for long failed for a reason of its own.
        if began.elapsed() > BACK_OFF.1 {
            pause = BACK_OFF.0;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn o5_a_background_task_that_dies_is_started_again_until_the_server_stops() {
        let (starts, stop) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
        let start = || {
            let (starts, stop) = (starts.clone(), stop.clone());
            async move {
                match starts.fetch_add(1, Ordering::Relaxed) {
                    0 => panic!("as a defect would"),
                    1 => {}
                    _ => {
                        stop.cancel();
                        stop.cancelled().await;
                    }
                }
            }
        };
        supervised("a test", stop.clone(), start).await;
        assert_eq!(starts.load(Ordering::Relaxed), 3);
    }
}
