//! The `--help` of each command: its own arguments, and the settings that it uses.
//!
//! Every command accepts every setting, since all share one environment; settings that a command does not use are only
//! hidden. Not here: the help text of a setting ([`crate::config`]).

use clap::{Arg, Command};

/// Names of settings that belong together.
type Group = &'static [&'static str];

const ADDRESS: Group = &["host", "port"];
const EMBEDDED: Group = &["data_dir"];
const STORE: Group = &[
    "data_dir",
    "durability",
    "redis_url",
    "redis_host",
    "redis_port",
    "redis_password",
    "redis_db",
    "redis_sentinel_password",
    "redis_tls_ca",
    "redis_tls_cert",
    "redis_tls_key",
    "redis_min_replicas",
    "partitions",
    "operation_ttl",
];
const GRAPHS: Group = &["max_entity_bytes", "max_nodes", "max_edges", "auto_create"];
/// How long graphs stay in the trash.
const TRASH: Group = &["trash_retention"];
const PROJECTING: Group = &["snapshot_every", "feed_retention"];
const SECRET: Group = &["jwt_secret", "jwt_audience", "jwt_issuer"];
const KEYS: Group =
    &["jwt_secret", "jwt_public_key", "jwt_jwks", "jwt_audience", "jwt_issuer", "insecure_no_auth"];
const LOG: Group = &["log_level", "log_format"];
const TELEMETRY: Group = &["metrics_enabled", "otel_exporter_otlp_endpoint"];
const SERVING: Group = &[
    "cors_origins",
    "docs",
    "cache_ttl",
    "max_hot_graphs",
    "max_hot_bytes",
    "max_body_bytes",
    "max_bodies_bytes",
    "max_json_depth",
    "max_batch_operations",
    "ws_heartbeat_interval",
    "ws_max_connections",
    "max_connections",
    "max_connections_per_address",
    "max_answers_bytes",
    "answer_idle_timeout",
    "head_timeout",
    "body_idle_timeout",
    "body_timeout",
    "rate_limit_window",
    "rate_limit_max_requests",
    "trusted_proxies",
    "projectors",
    "labels_admin",
    "console",
    "console_listen",
];
const WORKER: Group = &["worker_listen"];

/// Commands that only read the store, or copy it.
const READING: &[Group] = &[STORE];

/// The settings that a command uses; `None` for a command that is not listed, whose help shows all.
fn settings_of(command: &str) -> Option<&'static [Group]> {
    Some(match command {
        "serve" => &[ADDRESS, STORE, GRAPHS, TRASH, PROJECTING, KEYS, LOG, TELEMETRY, SERVING],
        "worker" => &[STORE, PROJECTING, KEYS, LOG, TELEMETRY, WORKER],
        "rebuild" => &[STORE, PROJECTING],
        "trash" => &[STORE, TRASH],
        "create" | "recover" | "purge" => &[STORE],
        "import" | "seed" | "undo" | "label" | "restore-version" | "copy" => &[STORE, GRAPHS],
        "export" | "show" | "diff" | "history" | "list" | "verify" | "migrate" => READING,
        "backup" | "restore" => &[EMBEDDED],
        "watch" | "monitor" | "healthcheck" => &[ADDRESS],
        // They take nothing from whoever runs them.
        "demo" | "demo-server" => &[],
        "token" => &[SECRET],
        _ => return None,
    })
}

/// The command line with a `--help` for each command. Must be called before clap hands the settings down.
pub(super) fn shortened(line: Command) -> Command {
    let settings: Vec<Arg> = line.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    let names: Vec<String> = line.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let with_own = names.iter().fold(line, |line, name| {
        let shown = |setting: &Arg| {
            settings_of(name)
                .is_none_or(|groups| groups.iter().any(|group| group.contains(&setting.get_id().as_str())))
        };
        let own = settings.iter().map(|setting| setting.clone().hide(!shown(setting)));
        line.mut_subcommand(name, |command| command.args(own))
    });
    with_own.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Line;

    /// The most lines of help, except for commands that serve: short enough to read without much scrolling.
    const LINES_MAX: usize = 64;

    /// The output of `--help`.
    fn printed(words: &[&str]) -> String {
        let asked = shortened(Line::command()).try_get_matches_from(words);
        asked.expect_err("help ends the parsing").to_string()
    }

    fn help_of(name: &str) -> String {
        printed(&["dao-api", name, "--help"])
    }

    #[test]
    fn o4_help_of_a_command_lists_the_settings_that_it_uses() {
        let token = help_of("token");
        assert!(token.contains("JWT_SECRET") && token.contains("--graph"), "{token}");
        for absent in ["REDIS_URL", "MAX_NODES", "PORT", "DATA_DIR", "LOG_LEVEL"] {
            assert!(!token.contains(absent), "{absent} in\n{token}");
        }
        assert!(token.lines().count() <= 30, "{token}");
        assert!(help_of("show").contains("DATA_DIR") && !help_of("show").contains("JWT_SECRET"));
        assert!(help_of("healthcheck").contains("PORT"));
    }

    #[test]
    fn o4_each_setting_is_in_the_help_of_a_command() {
        let line = Line::command();
        let settings: Vec<&str> =
            line.get_arguments().filter(|arg| arg.is_global_set()).map(|arg| arg.get_id().as_str()).collect();
        assert!(settings.len() > 40, "{settings:?}");
        let commands: Vec<&str> =
            line.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect();
        let shown = |id: &str| {
            commands.iter().any(|name| settings_of(name).is_some_and(|g| g.concat().contains(&id)))
        };
        let unshown: Vec<_> = settings.iter().filter(|id| !shown(id)).collect();
        assert!(unshown.is_empty(), "{unshown:?}: put them into a group of src/cli/help.rs");
        for name in &commands {
            let groups = settings_of(name).unwrap_or_else(|| panic!("{name} is not in src/cli/help.rs"));
            let unknown: Vec<_> = groups.concat().into_iter().filter(|id| !settings.contains(id)).collect();
            assert!(unknown.is_empty(), "{name} uses {unknown:?}, which are not settings");
        }
    }

    #[test]
    fn o4_help_is_short_where_nothing_serves() {
        let line = shortened(Line::command());
        let whole = printed(&["dao-api", "--help"]);
        assert!(whole.lines().count() <= LINES_MAX && whole.contains("dao-api serve --help"), "{whole}");
        for command in line.get_subcommands().map(Command::get_name) {
            let help = help_of(command);
            let is_long = help.lines().count() > LINES_MAX;
            assert!(!is_long || matches!(command, "serve" | "worker"), "{command}:\n{help}");
        }
    }

    #[test]
    fn o4_a_setting_that_is_not_shown_is_still_taken() {
        let parse = |words: &[&str]| shortened(Line::command()).try_get_matches_from(words);
        for words in [
            ["dao-api", "--port", "7", "token", "--user", "a", "--graph", "g=read"],
            ["dao-api", "token", "--user", "a", "--graph", "g=read", "--port", "7"],
        ] {
            let matches = parse(&words).expect("it is taken");
            assert_eq!(matches.get_one::<String>("port").map(String::as_str), Some("7"), "{words:?}");
        }
    }
}
