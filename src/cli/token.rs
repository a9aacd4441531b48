//! `dao-api token`: a token for development, signed with `JWT_SECRET`.

use clap::Args;
use dao_projections::UserId;

use super::{error::CliError, output::print};
use crate::{
    auth::{self, Auth, Glob, MintError, Right, Rights},
    config::{Config, parse_duration},
};

#[derive(Args)]
pub(super) struct Token {
    /// The user that the token is for
    #[arg(long)]
    user: String,
    /// A right on graphs, like 'team-a.*=write': read, write or admin; may be repeated
    #[arg(long = "graph", value_name = "GLOB=RIGHT", required = true)]
    graphs: Vec<String>,
    /// How long the token is valid
    #[arg(long, value_name = "TIME", default_value = "1h")]
    ttl: String,
}

impl Token {
    pub(super) fn run(&self, config: &Config) -> Result<(), CliError> {
        let user = UserId::parse(&self.user).map_err(|e| CliError::new(format!("--user: {e}")))?;
        let lifetime = parse_duration(&self.ttl).map_err(|e| CliError::new(format!("--ttl: {e}")))?;
        let granted: Result<_, _> = self.graphs.iter().map(|text| grant(text)).collect();
        let Auth::Keys(keys) = &config.auth else {
            return Err(CliError::new(MintError::NoSecret.to_string()));
        };
        let token = auth::mint(keys, &user, &Rights::new(granted?), lifetime);
        let token = token.map_err(|e| CliError::new(e.to_string()))?;
        print(|out| writeln!(out, "{token}"))
    }
}

fn grant(text: &str) -> Result<(Glob, Right), CliError> {
    let wrong = |problem: String| CliError::new(format!("--graph {text}: {problem}"));
    let (glob, right) = text.split_once('=').ok_or_else(|| wrong("must be GLOB=RIGHT".to_owned()))?;
    let glob = Glob::parse(glob).map_err(|e| wrong(e.to_string()))?;
    let right = right.parse().map_err(|e: auth::InvalidRight| wrong(e.to_string()))?;
    Ok((glob, right))
}
