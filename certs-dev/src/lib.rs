//! Certificates for development and tests: a CA of one's own with a server and a client certificate.
//!
//! The folder fits what Docker expects: `server/` for `dockerd --tlsverify`, `client/` as
//! `DOCKER_CERT_PATH`. Nothing here is for production, and no key is ever committed.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

/// How long the certificates are valid.
pub const VALIDITY: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The file that says, in seconds since 1970, until when the certificates beside it are valid.
const VALID_UNTIL: &str = "valid-until";

/// What to generate.
#[derive(Debug, Clone)]
pub struct Request {
    /// Host names and IP addresses that the server answers under, besides those of [`names_here`].
    pub names: Vec<String>,
    /// Replace certificates that are still valid.
    pub force: bool,
    /// The present time.
    pub now: SystemTime,
}

impl Default for Request {
    fn default() -> Self {
        Self { names: Vec::new(), force: false, now: SystemTime::now() }
    }
}

/// The generated files of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// `ca.pem`, `cert.pem` and `key.pem` lie here.
    pub folder: PathBuf,
}

impl Side {
    /// The authority's certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// This side's certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    /// This side's private key, readable by its owner only.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }
}

/// All that was generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates {
    /// For the program that listens.
    pub server: Side,
    /// For the program that connects.
    pub client: Side,
}

/// Generates everything into `directory`.
///
/// # Errors
/// When valid certificates are there already and `force` is not set, or a file cannot be written.
pub fn generate(directory: &Path, request: &Request) -> anyhow::Result<Certificates> {
    let now = request.now.duration_since(UNIX_EPOCH).context("this machine's clock is before 1970")?;
    if !request.force {
        refuse_to_replace(directory, now)?;
    }
    let (ca_key, ca) = authority(now)?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);
    let mut names = names_here();
    names.extend(request.names.iter().cloned());

    let server = Side { folder: directory.join("server") };
    let client = Side { folder: directory.join("client") };
    let sides = [
        (&server, names.as_slice(), ExtendedKeyUsagePurpose::ServerAuth),
        (&client, &[], ExtendedKeyUsagePurpose::ClientAuth),
    ];
    for (side, names, purpose) in sides {
        let key = KeyPair::generate()?;
        let certificate = leaf(names, purpose, now)?.signed_by(&key, &issuer)?;
        std::fs::create_dir_all(&side.folder)
            .with_context(|| format!("cannot make {}", side.folder.display()))?;
        write(&side.ca(), &ca_pem, 0o644)?;
        write(&side.certificate(), &certificate.pem(), 0o644)?;
        write(&side.key(), &key.serialize_pem(), 0o600)?;
    }
    write(&directory.join("ca.pem"), &ca_pem, 0o644)?;
    write(&directory.join("ca-key.pem"), &issuer.key().serialize_pem(), 0o600)?;
    write(&directory.join(VALID_UNTIL), &(now + VALIDITY).as_secs().to_string(), 0o644)?;
    Ok(Certificates { server, client })
}

/// The names of this machine: `localhost`, both loopback addresses and the host name.
#[must_use]
pub fn names_here() -> Vec<String> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    names.extend((!host.trim().is_empty()).then(|| host.trim().to_owned()));
    names
}

fn refuse_to_replace(directory: &Path, now: Duration) -> anyhow::Result<()> {
    let key = directory.join("ca-key.pem");
    if !key.exists() {
        return Ok(());
    }
    let valid_until = std::fs::read_to_string(directory.join(VALID_UNTIL)).unwrap_or_default();
    match valid_until.trim().parse() {
        Ok(end) if Duration::from_secs(end) <= now => Ok(()),
        _ => bail!("{} has certificates that are still valid; --force replaces them", directory.display()),
    }
}

fn authority(now: Duration) -> anyhow::Result<(KeyPair, CertificateParams)> {
    let mut params = dated(CertificateParams::default(), now);
    params.distinguished_name.push(DnType::CommonName, "Roadstead development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((KeyPair::generate()?, params))
}

fn leaf(
    names: &[String],
    purpose: ExtendedKeyUsagePurpose,
    now: Duration,
) -> anyhow::Result<CertificateParams> {
    let mut params = dated(CertificateParams::default(), now);
    let common = names.first().map_or("Roadstead development client", String::as_str);
    params.distinguished_name.push(DnType::CommonName, common);
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(
                name.as_str().try_into().with_context(|| format!("{name:?} is no host name"))?,
            ),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Valid from an hour ago, since the clocks of two machines never agree.
fn dated(mut params: CertificateParams, now: Duration) -> CertificateParams {
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(Duration::from_secs(3600));
    params.not_after = epoch + now + VALIDITY;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

/// Writes a file anew, so that its mode holds also where an older one lay.
fn write(path: &Path, content: &str, mode: u32) -> anyhow::Result<()> {
    let replace = || {
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(content.as_bytes())
    };
    replace().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn both_sides_get_what_docker_looks_for_and_keys_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let made = generate(folder.path(), &Request::default()).unwrap();
        for side in [&made.server, &made.client] {
            assert!(side.ca().is_file() && side.certificate().is_file());
            assert_eq!(side.key().metadata().unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(std::fs::read(side.ca()).unwrap(), std::fs::read(made.server.ca()).unwrap());
        }
        assert_ne!(std::fs::read(made.server.key()).unwrap(), std::fs::read(made.client.key()).unwrap());
    }

    #[test]
    fn valid_certificates_are_replaced_only_by_force_and_expired_ones_freely() {
        let folder = tempfile::tempdir().unwrap();
        let request = Request::default();
        generate(folder.path(), &request).unwrap();
        let refusal = generate(folder.path(), &request).unwrap_err();
        assert!(refusal.to_string().contains("--force"), "{refusal}");
        generate(folder.path(), &Request { force: true, ..request.clone() }).unwrap();
        generate(folder.path(), &Request { now: request.now + VALIDITY, ..request }).unwrap();
    }

    #[test]
    fn a_key_without_a_date_is_not_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca-key.pem"), "somebody's").unwrap();
        assert!(generate(folder.path(), &Request::default()).is_err());
        assert_eq!(std::fs::read_to_string(folder.path().join("ca-key.pem")).unwrap(), "somebody's");
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let request = Request { names: vec!["schräg".to_owned()], ..Request::default() };
        assert!(generate(folder.path(), &request).is_err());
    }
}
