//! Who may ask a server, as flags say it.

use std::path::PathBuf;
use std::str::FromStr;

use afterimage_access::oidc::{Algorithm, Issuer, IssuerConfig, KeySource};
use afterimage_api::Anonymous;
use clap::Args;

use super::BadConfig;

/// Who may ask.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessArgs {
    /// Let whoever reaches the server read everything, also from other machines. Only where something else guards the
    /// way to it.
    #[arg(long, value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) anonymous: bool,
    /// Who may ask by token, and what groups of the issuer may see; read again when it changes.
    #[arg(long, value_name = "PATH")]
    pub(crate) access_file: Option<PathBuf>,
    /// The OpenID Connect issuer whose JWTs are good, exactly as they say it (iss).
    #[arg(long, value_name = "URL")]
    pub(crate) oidc_issuer: Option<String>,
    /// What its JWTs must be for (aud); may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) oidc_audience: Vec<String>,
    /// Where its keys are. When not given, where the issuer says.
    #[arg(long, value_name = "URL")]
    pub(crate) oidc_jwks_url: Option<String>,
    /// A file that its keys are in, for machines that reach no issuer.
    #[arg(long, value_name = "PATH")]
    pub(crate) oidc_jwks_file: Option<PathBuf>,
    /// By what its JWTs may be signed: RS256, PS256, ES256, EdDSA.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = Algorithm::from_str, default_values = ["RS256", "ES256", "EdDSA"])]
    pub(crate) oidc_algorithms: Vec<Algorithm>,
    /// What the names of its claims role, tenants and grants begin with.
    #[arg(long, value_name = "TEXT", default_value = IssuerConfig::CLAIM_PREFIX)]
    pub(crate) oidc_claim_prefix: String,
    /// Its claim that lists groups.
    #[arg(long, value_name = "NAME", default_value = IssuerConfig::GROUPS_CLAIM)]
    pub(crate) oidc_groups_claim: String,
}

/// Who may ask, checked.
#[derive(Debug)]
pub(crate) enum WhoConfig {
    /// Anybody.
    Anybody(Anonymous),
    /// Whoever is known.
    Known { file: Option<PathBuf>, issuer: Option<Box<IssuerConfig>> },
}

impl WhoConfig {
    /// Off this machine nobody is let in without credentials, unless that is what somebody asked for.
    pub(super) fn new(args: &AccessArgs, is_loopback: bool) -> Result<Option<Self>, BadConfig> {
        let issuer = issuer(args)?;
        let file = args.access_file.clone();
        match (args.anonymous, file.is_some() || issuer.is_some()) {
            (true, true) => Err(BadConfig::at(
                "--anonymous",
                "lets everybody in, and --access-file or --oidc-issuer only whom they know: leave one of them out",
            )),
            (false, true) => Ok(Some(Self::Known { file, issuer: issuer.map(Box::new) })),
            (true, false) => Ok(Some(Self::Anybody(Anonymous::Anywhere))),
            (false, false) => Ok(is_loopback.then_some(Self::Anybody(Anonymous::OnLoopback))),
        }
    }
}

fn issuer(args: &AccessArgs) -> Result<Option<IssuerConfig>, BadConfig> {
    let Some(issuer) = args.oidc_issuer.clone() else {
        let others = [
            ("--oidc-audience", !args.oidc_audience.is_empty()),
            ("--oidc-jwks-url", args.oidc_jwks_url.is_some()),
            ("--oidc-jwks-file", args.oidc_jwks_file.is_some()),
        ];
        return match others.into_iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => Err(BadConfig::at(flag, "needs --oidc-issuer beside it")),
            None => Ok(None),
        };
    };
    let (keys, flag) = match (&args.oidc_jwks_url, &args.oidc_jwks_file) {
        (Some(_), Some(_)) => {
            return Err(BadConfig::at("--oidc-jwks-url", "keys come from it or from --oidc-jwks-file"));
        }
        (Some(url), None) => (KeySource::Url(url.clone()), "--oidc-jwks-url"),
        (None, Some(path)) => (KeySource::File(path.clone()), "--oidc-jwks-file"),
        (None, None) => (KeySource::Discovery, "--oidc-issuer"),
    };
    let config = IssuerConfig {
        issuer,
        audiences: args.oidc_audience.clone(),
        keys,
        algorithms: args.oidc_algorithms.clone(),
        claim_prefix: args.oidc_claim_prefix.clone(),
        groups_claim: args.oidc_groups_claim.clone(),
    };
    if config.audiences.is_empty() {
        return Err(BadConfig::at("--oidc-audience", "must be given: JWTs made for other services would be good here"));
    }
    // Opens nothing; whoever starts a server with an address that cannot be used hears of it at once.
    Issuer::new(config.clone()).map_err(|error| BadConfig::at(flag, error))?;
    Ok(Some(config))
}
