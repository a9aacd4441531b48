//! The keys that verify tokens, reloaded when their source changes.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{Algorithm, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    remote::{JwksUrl, Remote},
    source::{self, Key, PublicKeys},
    token::{BadToken, Grant, LEEWAY, TOKEN_BYTES_MAX},
};

/// How often a JWKS file is checked for changes. A removed key stays valid for at most this long.
const RELOAD_INTERVAL: Duration = Duration::from_secs(10);
/// Verified tokens that are cached. When full, expired ones are dropped; if none has expired, all.
const PROVEN_MAX: usize = 10_000;

/// The configured sources of keys; each is optional.
#[derive(Clone, Default)]
pub struct KeysConfig {
    /// `JWT_SECRET`.
    pub secret: Option<String>,
    /// `JWT_PUBLIC_KEY`: PEM text, or a path.
    pub public_key: Option<String>,
    /// `JWT_JWKS`: a path.
    pub jwks: Option<PathBuf>,
    /// `JWT_JWKS`: an address.
    pub jwks_url: Option<JwksUrl>,
    /// `JWT_AUDIENCE`: the audience that tokens must name.
    pub audience: Option<String>,
    /// `JWT_ISSUER`: the issuer that tokens must name.
    pub issuer: Option<String>,
}

/// The keys. A token is valid if one of them signed it.
pub struct Keys {
    config: KeysConfig,
    /// The key set of `jwks_url`.
    remote: Option<Remote>,
    /// Replaced as a whole when the file changes. The lock is not held while a token is verified.
    current: RwLock<Arc<Generation>>,
}

/// The result of checking the file for changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The file did not change.
    Unchanged,
    /// Its new keys are in use, and removed keys are not.
    Changed,
}

/// One generation of keys and the tokens they verified. Both are replaced together.
struct Generation {
    /// The text of the key files.
    files: String,
    keys: Vec<Key>,
    /// Why other keys in the files can't be used.
    left_out: Vec<String>,
    /// Verified tokens by their SHA-256, so that the time of a look-up reveals nothing about other tokens.
    proven: Mutex<HashMap<[u8; 32], Arc<Grant>>>,
}

impl Keys {
    /// Loads the keys. Returns every error with the variable it is in. Blocks on files, and on the issuer if a URL is
    /// configured.
    pub fn load(config: KeysConfig) -> Result<Self, Vec<(&'static str, String)>> {
        let remote = config.jwks_url.clone().map(Remote::fetched).transpose();
        let (remote, unfetched) = match remote {
            Ok(remote) => (remote, None),
            Err(problem) => (None, Some(("JWT_JWKS", problem))),
        };
        let (generation, mut wrong) = Generation::load(&config, remote.as_ref());
        wrong.extend(unfetched);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self { config, remote, current: RwLock::new(Arc::new(generation)) })
    }

    pub(super) fn config(&self) -> &KeysConfig {
        &self.config
    }

    /// Verifies a token and returns its grant.
    pub fn verify(&self, token: &str) -> Result<Arc<Grant>, BadToken> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(BadToken::Malformed);
        }
        if let Some(known) = self.known(token) {
            return known;
        }
        let generation = self.current();
        let grant = Arc::new(Grant::of(&self.claims(&generation, token)?)?);
        generation.remember(Sha256::digest(token).into(), grant.clone());
        Ok(grant)
    }

    /// The cached result for a token that was verified before; `None` for others.
    pub fn known(&self, token: &str) -> Option<Result<Arc<Grant>, BadToken>> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let print: [u8; 32] = Sha256::digest(token).into();
        let generation = self.current();
        let known = generation.proven().get(&print).cloned()?;
        Some(if known.remaining().is_zero() { Err(BadToken::Expired) } else { Ok(known) })
    }

    fn current(&self) -> Arc<Generation> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn claims(&self, generation: &Generation, token: &str) -> Result<Map<String, Value>, BadToken> {
        let header = decode_header(token).map_err(|_| BadToken::Malformed)?;
        if header.crit.is_some() {
            return Err(BadToken::NoKey); // it asks for what is not done here (RFC 7515, 4.1.11)
        }
        let mut outcome = Err(BadToken::NoKey);
        let is_meant = |key: &&Key| {
            let same_id = header.kid.is_none() || key.id.is_none() || key.id == header.kid;
            key.algorithm == header.alg && same_id
        };
        for key in generation.keys.iter().filter(is_meant) {
            match decode::<Map<String, Value>>(token, &key.key, &self.validation(key.algorithm)) {
                Ok(proven) => return Ok(proven.claims),
                Err(error) => outcome = Err(reason(error.kind())),
            }
            if outcome != Err(BadToken::Signature) {
                break; // it was signed with this key, and is bad for another reason
            }
        }
        if let Some(remote) = &self.remote
            && header.kid.is_some()
            && !generation.keys.iter().any(|key| key.id == header.kid)
        {
            remote.want();
        }
        outcome
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        let mut required = vec!["exp", "sub"];
        if let Some(audience) = &self.config.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        if let Some(issuer) = &self.config.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    /// Looks at the files, and at the address when it is time, and takes their keys if they have changed. What
    /// can't be read or used changes nothing. Blocks.
    pub fn reload(&self) -> Result<Reload, String> {
        let check = |text: &str| source::of_jwks(text.to_owned()).map(drop);
        let refreshed = self.remote.as_ref().map_or(Ok(()), |remote| remote.refresh(check));
        let reloaded = self.take_what_changed();
        refreshed.map_err(|problem| format!("JWT_JWKS: {problem}")).and(reloaded)
    }

    fn take_what_changed(&self) -> Result<Reload, String> {
        let (generation, wrong) = Generation::load(&self.config, self.remote.as_ref());
        if let Some((name, problem)) = wrong.into_iter().next() {
            return Err(format!("{name}: {problem}"));
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.files == generation.files {
            return Ok(Reload::Unchanged);
        }
        *current = Arc::new(generation);
        Ok(Reload::Changed)
    }

    /// Resolves when a key is missing that may be new; never without an address.
    async fn key_is_missing(&self) {
        match &self.remote {
            Some(remote) => remote.wanted.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Follows where keys come from until `stop`.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        self.current().tell_left_out();
        let mut last_problem = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RELOAD_INTERVAL) => {}
                () = self.key_is_missing() => {}
            }
            let keys = self.clone();
            let Ok(looked) = tokio::task::spawn_blocking(move || keys.reload()).await else { continue };
            match &looked {
                Ok(Reload::Unchanged) => {}
                Ok(Reload::Changed) => {
                    tracing::info!("the keys have changed, and the new ones are in use");
                    self.current().tell_left_out();
                }
                Err(problem) if last_problem.as_ref() == Some(problem) => {}
                Err(problem) => {
                    tracing::warn!(%problem, "the keys can't be read again: those known stay in use")
                }
            }
            last_problem = looked.err();
        }
    }
}

impl Generation {
    fn load(config: &KeysConfig, remote: Option<&Remote>) -> (Self, Vec<(&'static str, String)>) {
        let mut generation =
            Self { files: String::new(), keys: vec![], left_out: vec![], proven: Mutex::default() };
        let mut wrong = Vec::new();
        if let Some(secret) = &config.secret {
            match source::of_secret(secret) {
                Ok(key) => generation.keys.push(key),
                Err(problem) => wrong.push(("JWT_SECRET", problem)),
            }
        }
        if let Some(public_key) = &config.public_key {
            match source::of_pem(public_key) {
                Ok(read) => generation.take(read),
                Err(problem) => wrong.push(("JWT_PUBLIC_KEY", problem)),
            }
        }
        if let Some(path) = &config.jwks {
            match source::of_jwks_file(path) {
                Ok(read) => generation.take(read),
                Err(problem) => wrong.push(("JWT_JWKS", problem)),
            }
        }
        if let (Some(remote), Some(url)) = (remote, &config.jwks_url) {
            match source::of_jwks(remote.text()) {
                Ok(read) => generation.take(read),
                Err(problem) => wrong.push(("JWT_JWKS", format!("{url} {problem}"))),
            }
        }
        (generation, wrong)
    }

    fn take(&mut self, read: PublicKeys) {
        self.files.push_str(&read.text);
        self.keys.extend(read.keys);
        self.left_out.extend(read.left_out);
    }

    fn tell_left_out(&self) {
        for problem in &self.left_out {
            tracing::warn!("JWT_JWKS: {problem}: it is left out");
        }
    }

    fn proven(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Arc<Grant>>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, print: [u8; 32], grant: Arc<Grant>) {
        let mut proven = self.proven();
        if proven.len() >= PROVEN_MAX {
            proven.retain(|_, grant| !grant.remaining().is_zero());
        }
        if proven.len() >= PROVEN_MAX {
            proven.clear();
        }
        proven.insert(print, grant);
    }
}

fn reason(error: &ErrorKind) -> BadToken {
    match error {
        ErrorKind::InvalidSignature => BadToken::Signature,
        ErrorKind::ExpiredSignature => BadToken::Expired,
        ErrorKind::ImmatureSignature => BadToken::NotYetValid,
        ErrorKind::InvalidAudience => BadToken::Audience,
        ErrorKind::InvalidIssuer => BadToken::Issuer,
        ErrorKind::MissingRequiredClaim(name) => BadToken::claim(name, "is missing"),
        ErrorKind::InvalidClaimFormat(name) => BadToken::claim(name, "must be a time in seconds"),
        _ => BadToken::Malformed,
    }
}
