//! Row 1 once more: what it costs that callers prove who they are and keep within budgets. And, where
//! `BENCH_OTHER` names the program of another build, how that one does beside this.

use std::{env, process::Command};

use crate::{
    Bench, CONNECTIONS, Outcome, ROUND, ROUNDS,
    load::closed_loop,
    report::{Rounds, Target, Unit},
    requests::{Caller, Moves, Packing},
    server::{PROGRAM, Server},
    writes::{GRAPHS, NODES},
};

const SECRET: &str = "a secret of the benchmark, thirty-two bytes at least";

/// One server, those who ask it, and what came of it.
struct Side {
    name: String,
    server: Server,
    callers: Vec<Caller>,
    rate: Rounds,
    cpu: Rounds,
}

impl Side {
    fn new(name: String, server: Server, callers: Vec<Caller>) -> Outcome<Self> {
        server.make_small_graphs(GRAPHS)?;
        let mut side = Self { name, server, callers, rate: Rounds::default(), cpu: Rounds::default() };
        side.take()?;
        (side.rate, side.cpu) = Default::default(); // that was to warm it
        Ok(side)
    }

    fn take(&mut self) -> Outcome<()> {
        let clients = self.callers.iter().enumerate();
        let clients = clients.map(|(n, caller)| Moves::by(caller, n, 0..GRAPHS, NODES, Packing::Single));
        let before = self.server.cpu_us()?;
        let rate = closed_loop(self.server.address, clients.collect(), ROUND)?.rate;
        self.rate.push(rate);
        self.cpu.push((self.server.cpu_us()? - before) / (rate * ROUND.as_secs_f64()));
        Ok(())
    }
}

/// Row 1 with keys and budgets beside the same without.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let dir = bench.scratch.path().join("guards");
    let claimed: Vec<Caller> = (0..CONNECTIONS).map(Caller::Claimed).collect();
    let tokens = (0..CONNECTIONS).map(token).collect::<Outcome<Vec<_>>>()?;
    let settings = [("JWT_SECRET", SECRET), ("RATE_LIMIT_MAX_REQUESTS", "1000000000")];
    let guarded = Server::embedded_with(PROGRAM, &dir.join("guarded"), &settings, tokens[0].clone())?;
    let open = Server::embedded(&dir.join("open"))?;
    let mut sides = vec![
        Side::new("neither keys nor budgets".to_owned(), open, claimed.clone())?,
        Side::new("keys and budgets".to_owned(), guarded, tokens)?,
    ];
    if let Ok(program) = env::var("BENCH_OTHER") {
        let server = Server::embedded_with(&program, &dir.join("other"), &[], Caller::Claimed(0))?;
        sides.push(Side::new(format!("neither, {program}"), server, claimed)?);
    }
    for _ in 0..ROUNDS {
        sides.iter_mut().try_for_each(Side::take)?;
    }
    let (open, others) = (&sides[0], &sides[1..]);
    bench.report.add("1g", &open.name, Unit::PerSecond, &open.rate, None, Target::None);
    bench.report.add("1g", "… CPU of the server each", Unit::Microseconds, &open.cpu, None, Target::None);
    for side in others {
        let target = if side.name == "keys and budgets" { Target::RatioAtLeast(0.9) } else { Target::None };
        let reference = Some((open.name.as_str(), &open.rate));
        bench.report.add("1g", &side.name, Unit::PerSecond, &side.rate, reference, target);
        let reference = Some((open.name.as_str(), &open.cpu));
        bench.report.add(
            "1g",
            "… CPU of the server each",
            Unit::Microseconds,
            &side.cpu,
            reference,
            Target::None,
        );
    }
    Ok(())
}

/// What client number `n` proves itself by.
fn token(n: usize) -> Outcome<Caller> {
    let mut command = Command::new(PROGRAM);
    command.args(["token", "--user", &format!("user-{n:03}"), "--graph", "*=write"]);
    let made = command.env_clear().env("JWT_SECRET", SECRET).output()?;
    let token = String::from_utf8(made.stdout)?.trim().to_owned();
    if token.is_empty() {
        return Err(format!("no token: {}", String::from_utf8_lossy(&made.stderr)).into());
    }
    Ok(Caller::Token(token))
}
