//! Which server a command asks, if it is not on this machine: `--url` and `--token`, or `DAO_URL` and `DAO_TOKEN`.

use std::{env, ffi::OsStr, str::FromStr};

use clap::{
    Arg, ArgMatches, Args, Command,
    builder::{self, Resettable, TypedValueParser},
    error::ErrorKind,
    parser::ValueSource,
};

use super::error::CliError;
use crate::client::{InvalidToken, InvalidUrl, Server, Token};

/// The variable with the address.
const ADDRESS: &str = "DAO_URL";
/// Their names in the environment.
const NAMES: [&str; 2] = [ADDRESS, "DAO_TOKEN"];

/// The server to ask, if it is not on this machine.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Reach {
    /// Ask the server at this address
    #[arg(long, env = "DAO_URL", value_name = "URL", hide_env_values = true, value_parser = ServerAddress)]
    pub(super) url: Option<Server>,
    /// The token to send there
    #[arg(long, env = "DAO_TOKEN", value_name = "TOKEN", hide_env_values = true, value_parser = Secret)]
    pub(super) token: Option<Token>,
}

/// Reads the address of a server. One that may hold a password is not shown.
#[derive(Clone)]
pub(super) struct ServerAddress;

impl TypedValueParser for ServerAddress {
    type Value = Server;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Server, clap::Error> {
        let text = value.to_str().unwrap_or_default().trim();
        let refused = |text: String| clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command);
        match text.parse() {
            Ok(server) => Ok(server),
            Err(InvalidUrl::Credentials) => {
                Err(refused("no user or password in the address (--url, DAO_URL): use --token\n".to_owned()))
            }
            // Mistyped, it may have one all the same.
            Err(why) if text.contains('@') => {
                Err(refused(format!("the address of the server (--url, DAO_URL) {why}\n")))
            }
            Err(_) => Server::from_str.parse_ref(command, arg, OsStr::new(text)),
        }
    }
}

/// Reads a token. One that can't be sent is not shown.
#[derive(Clone)]
pub(super) struct Secret;

impl TypedValueParser for Secret {
    type Value = Token;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Token, clap::Error> {
        value.to_str().unwrap_or_default().parse().map_err(|why: InvalidToken| {
            let text = format!("the token (--token, DAO_TOKEN) {why}\n");
            clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
        })
    }
}

/// The command line, on which an empty variable is as none, and an address of spaces too.
pub(super) fn without_empty(line: Command) -> Command {
    let is_empty = |name: &OsStr| {
        let is_known = NAMES.iter().any(|known| name == *known);
        let is_blank = |value: &OsStr| value.to_str().is_some_and(|text| text.trim().is_empty());
        is_known
            && env::var_os(name).is_some_and(|value| value.is_empty() || name == ADDRESS && is_blank(&value))
    };
    line.mut_subcommands(|command| {
        command.mut_args(|arg| match arg.get_env().is_some_and(is_empty) {
            true => arg.env(Resettable::<builder::OsStr>::Reset),
            false => arg,
        })
    })
}

/// Refuses a store, or a port of this machine, that is named on the command line beside another server: that one would
/// be asked, and the store not be looked at.
pub(super) fn refuse_two_places(matches: &ArgMatches) -> Result<(), CliError> {
    let Some((command, own)) = matches.subcommand() else { return Ok(()) };
    let source = match own.try_contains_id("url") {
        Ok(true) => own.value_source("url"),
        Ok(false) | Err(_) => None,
    };
    let (server, advice) = match source {
        Some(ValueSource::EnvVariable) => ("DAO_URL", "unset DAO_URL, or leave out"),
        Some(ValueSource::CommandLine) => ("--url", "leave out --url, or"),
        _ => return Ok(()),
    };
    let asks_port = matches!(command, "watch" | "monitor");
    let is_place = |name: &str| {
        name == "data_dir" || name.starts_with("redis_") || asks_port && matches!(name, "host" | "port")
    };
    let given = [matches, own].into_iter().find_map(|matches| {
        let names = matches.ids().map(|id| id.as_str()).filter(|name| is_place(name));
        names.into_iter().find(|name| matches.value_source(name) == Some(ValueSource::CommandLine))
    });
    match given {
        None => Ok(()),
        Some(name) => {
            let flag = format!("--{}", name.replace('_', "-"));
            Err(CliError::new(format!("{server} names a server and {flag} another place: {advice} {flag}")))
        }
    }
}
